"""Style rules that hold in every module."""

import ast
import re

import pytest

from tests.architecture.source import SOURCE, modules

LONGEST_MODULE = 400  # lines

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}

CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.gmtime",
    "time.localtime",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}

# Modules that may read the time: the server's clock, the default of the library's verifier, the CLI and test helpers.
READS_A_CLOCK = re.compile(
    r"ostiary\.(core\.clock|verifier\.(verifier|jwt|remote\.(feed|status_lists))|cli|testing)(\.|$)"
)


def test_modules_stay_below_the_maximum_length():
    lengths = {module.name: len(module.path.read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_MODULE} == {}


def test_names_of_folders_modules_classes_and_functions_are_meaningful():
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    paths = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if "__pycache__" not in path.parts]
    names = [
        f"{module.located(node)} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, defined)
    ]
    assert [name for name in paths + names if _words(name.rpartition(" ")[2]) & SAYS_NOTHING] == []


def test_no_log_call_includes_a_traceback():
    """P05: a driver's error quotes its parameters, including passwords and tokens. `ostiary.trace` leaves them out."""
    found = [module.located(node) for module in modules() for node in ast.walk(module.tree) if _logs_a_traceback(node)]
    assert found == []


@pytest.mark.parametrize(
    "line", ["_log.exception('it failed')", "_LOG.warning('it failed', exc_info=True)", "traceback.print_exc()"]
)
def test_a_log_call_with_a_traceback_is_detected(line):
    assert any(_logs_a_traceback(node) for node in ast.walk(ast.parse(line)))


def _logs_a_traceback(node):
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func).lower()
    return any(keyword.arg == "exc_info" for keyword in node.keywords) or called.endswith(
        ("log.exception", "logger.exception", "print_exc", "format_exc")
    )


def test_only_allowed_modules_read_the_clock():
    found = [
        module.located(node)
        for module in modules()
        if not READS_A_CLOCK.match(module.name)
        for node in ast.walk(module.tree)
        if _reads_a_clock(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["time.time()", "Clock(time.time)", "datetime.datetime.now()", "datetime.now(UTC)", "from time import time_ns"],
)
def test_every_way_to_read_a_clock_is_detected(line):
    assert any(_reads_a_clock(node) for node in ast.walk(ast.parse(line)))


def _words(name):
    return set(re.findall(r"[a-z]+|[A-Z][a-z]*", name)) | set(re.findall(r"[a-z]+", name.lower()))


def _reads_a_clock(node):
    if isinstance(node, ast.ImportFrom):
        return any(f"{node.module}.{alias.name}" in CLOCKS for alias in node.names)
    return isinstance(node, ast.Attribute) and f"{ast.unparse(node.value).split('.')[-1]}.{node.attr}" in CLOCKS
