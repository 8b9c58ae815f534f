"""The package has no import cycles, so that each module can be read, tested and replaced on its own."""

import ast
from collections.abc import Iterator, Mapping

import pytest

from tests.architecture import source
from tests.architecture.source import Module, modules


def test_there_are_no_import_cycles():
    found = circles(imports())
    assert not found, "import cycles:\n" + "\n".join(", ".join(circle) for circle in found)


def test_a_cycle_is_found_through_packages_functions_and_type_checking(package):
    package(
        {
            "a/__init__": "from ostiary.a.first import f",
            "a/first": "def f():\n    import ostiary.b",
            "b": "if TYPE_CHECKING:\n    from ostiary.c import second",
            "c/__init__": "",
            "c/second": "from ostiary.a import f",
            "outside": "import os\nfrom ostiary.a import f\nfrom ostiary import b",
        }
    )
    assert circles(imports()) == [["ostiary.a", "ostiary.a.first", "ostiary.b", "ostiary.c.second"]]


def test_two_cycles_are_reported_separately(package):
    package(
        {
            "a": "import ostiary.b",
            "b": "import ostiary.a\nimport ostiary.c",
            "c": "import ostiary.d",
            "d": "import ostiary.c",
        }
    )
    assert circles(imports()) == [["ostiary.a", "ostiary.b"], ["ostiary.c", "ostiary.d"]]


def test_relative_imports_count(package):
    package({"a/__init__": "from .first import f", "a/first": "from ..b import f", "b": "from . import a"})
    assert circles(imports()) == [["ostiary.a", "ostiary.a.first", "ostiary.b"]]


def test_importing_a_submodule_does_not_count_as_importing_its_package(package):
    package(
        {
            "a/__init__": "from ostiary.a.one import f",
            "a/one": "from ostiary.a import two\nimport ostiary.a.two",
            "a/two": "",
        }
    )
    assert circles(imports()) == []


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package for the test to analyse, given as path → text."""
    monkeypatch.setattr(source, "SOURCE", tmp_path)

    def write(texts):
        for name, text in {"__init__": "", **texts}.items():
            path = tmp_path / "ostiary" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return write


def imports() -> dict[str, set[str]]:
    """Maps each module to the modules that it imports, including imports in functions and under TYPE_CHECKING."""
    read = list(modules())
    names = {module.name for module in read}
    return {module.name: set(_imported(module, names)) - {module.name} for module in read}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components that have more than one module."""
    reached = {name: _reached_from(name, graph) for name in graph}
    found = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(component) for component in found if len(component) > 1)


def _imported(module: Module, names: set[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names:
                # `from ostiary.a import b` means the module ostiary.a.b if it exists, else a name in ostiary.a
                submodule = f"{base}.{alias.name}"
                yield from names & {submodule} or names & {base}


def _base(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of the module after ``from``."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - (module.path.name == "__init__.py")
    return ".".join(parts[: len(parts) - up] + ([node.module] if node.module else []))


def _reached_from(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found
