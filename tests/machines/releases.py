"""The version before, from the history of this repository."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import PATIENCE, Served, environment

PREVIOUS = "61e04d7804a6"
"""The commit of the version that servers run before the upgrade: the last release ("Releasing" in CONTRIBUTING.md)."""

ROOT = Path(__file__).resolve().parents[2]


def previous_source(folder: Path) -> Path:
    """Unpacks the version before. Returns the folder for the import path. Both versions use the same dependencies."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT]  # the folder may belong to another user
    archive = subprocess.run([*git, "archive", PREVIOUS, "src"], capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"commit {PREVIOUS} is not in this copy of the repository: run git fetch --unshallow")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder / "src"


class ServedFromSource(Served):
    """`ostiary serve` of the code in a folder, not of the installed one."""

    command = (sys.executable, "-m", "ostiary", "serve")

    def __init__(self, folder: Path, source: Path, *, environ: dict[str, str]) -> None:
        super().__init__(folder, environ={**environ, "PYTHONPATH": str(source)})


def migrate_from_source(folder: Path, source: Path, *, environ: dict[str, str]) -> None:
    run = {"cwd": folder, "env": environment({**environ, "PYTHONPATH": str(source)}), "timeout": PATIENCE}
    found = [sys.executable, "-c", "import ostiary; print(ostiary.__file__)"]
    assert subprocess.check_output(found, text=True, **run).startswith(str(source))
    subprocess.run([sys.executable, "-m", "ostiary", "migrate"], check=True, stdout=subprocess.DEVNULL, **run)
