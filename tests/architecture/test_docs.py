"""Every slice has a documentation page at the same path as its code."""

import importlib
import re

import pytest

from ostiary.core.plug import Feature
from tests.architecture.source import ROOT, SOURCE

PACKAGE = SOURCE / "ostiary"
SLICES = sorted(
    path.parent.relative_to(PACKAGE)
    for folder in ("core", "features")
    for path in (PACKAGE / folder).glob("*/__init__.py")
    if isinstance(getattr(importlib.import_module(f"ostiary.{folder}.{path.parent.name}"), "feature", None), Feature)
)


def test_slices_are_found():
    assert len(SLICES) >= 11


@pytest.mark.parametrize("name", SLICES, ids=str)
def test_each_slice_has_a_page_that_the_index_links_to(name):
    page = f"{name.as_posix()}.md"
    assert (ROOT / "docs" / page).is_file()
    assert f"({page})" in (ROOT / "docs" / "index.md").read_text()


def test_decisions_are_numbered_and_the_index_links_to_each_from_the_fifth_on():
    """The first four decisions share one link."""
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for number, name in enumerate(names, start=1):
        assert re.match(rf"# {number}\. ", (ROOT / "docs" / "decisions" / name).read_text())
    index = (ROOT / "docs" / "index.md").read_text()
    assert [name for name in names[4:] if f"(decisions/{name})" not in index] == []
