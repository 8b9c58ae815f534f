"""Imports follow the layers and stay at module level."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT, modules

# The only lazy import. `from ostiary import Verifier` must not load the server's dependencies.
LAZY = {("ostiary", "__getattr__")}


def test_the_import_contracts_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_function_imports_our_own_package():
    found = [
        module.located(statement)
        for module in modules()
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and (module.name, function.name) not in LAZY
        for statement in ast.walk(function)
        if _imports_ourselves(statement)
    ]
    assert found == []


def _imports_ourselves(statement):
    if isinstance(statement, ast.Import):
        return any(alias.name.split(".")[0] == "ostiary" for alias in statement.names)
    return isinstance(statement, ast.ImportFrom) and (
        statement.level > 0 or statement.module.split(".")[0] == "ostiary"
    )
