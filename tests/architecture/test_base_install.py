"""What somebody sees who installed the base and asks for more."""

import subprocess
import sys

import pytest

# None in sys.modules makes an import fail as if the distribution were not there
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['starlette', 'cyclopts', 'argon2', 'granian', 'jinja2']))\n"


def run(code):
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, check=False)


def test_the_command_line_says_in_one_line_what_to_install():
    ran = run("from ostiary.__main__ import main; main()")
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "pip install 'ostiary[server]'" in ran.stderr


def test_importing_ostiary_the_class_says_what_to_install():
    ran = run("from ostiary import Ostiary")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "ImportError: the base install verifies tokens only: pip install 'ostiary[server]'"
    )


@pytest.mark.parametrize("name", ["Verifier", "KeySet", "Principal"])
def test_what_verifies_is_there(name):
    assert run(f"from ostiary import {name}").returncode == 0
