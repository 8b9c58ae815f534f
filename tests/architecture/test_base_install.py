"""The base install names the missing extra when you use a feature that it does not include."""

import subprocess
import sys

import pytest

# None in sys.modules makes an import fail as if the distribution were not installed.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['starlette', 'cyclopts', 'argon2', 'granian', 'jinja2']))\n"


def run(code):
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, check=False)


def test_the_command_line_names_the_missing_extra_in_one_line():
    ran = run("from ostiary.__main__ import main; main()")
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "pip install 'ostiary[server]'" in ran.stderr


def test_importing_the_ostiary_class_names_the_missing_extra():
    ran = run("from ostiary import Ostiary")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "ImportError: the base install verifies tokens only: pip install 'ostiary[server]'"
    )


@pytest.mark.parametrize("name", ["Verifier", "KeySet", "Principal"])
def test_the_verification_classes_can_be_imported(name):
    assert run(f"from ostiary import {name}").returncode == 0
