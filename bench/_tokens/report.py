"""What was measured, as text for the console and as a section of docs/benchmarks.md."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
PAGE: Final = DOCS / "benchmarks.md"
PICTURES: Final = DOCS / "benchmarks"
BEGIN, END = "<!-- tokens: scripts/bench tokens --write -->", "<!-- tokens: end -->"

INTRODUCTION: Final = """# Benchmarks

Each section is written by the script that it names, and anybody can run it again. What is compared was measured in one
run, its rounds interleaved, so that all contenders met the same machine in the same moments; a value is the median of
its rounds. Machines differ and drift: trust the ratios more than the microseconds.

The machine: two cores of a shared server, Debian 12, CPython 3.11.
"""

Table = Sequence[Sequence[str]]
"""Rows of cells, the first one the header."""


def aligned(table: Table) -> str:
    """For the console."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    rows = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table]
    return "\n".join(rows) + "\n"


def markdown(table: Table) -> str:
    header, *rows = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([header, "|---" + "|--:" * (len(table[0]) - 1) + "|", *rows]) + "\n"


def machine(node: Mapping[str, str]) -> str:
    names = ("cryptography", "msgspec", "PyJWT", "joserfc", "Authlib", "python-jose", "jwcrypto")
    python = [f"CPython {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]
    return ", ".join([*python, *(f"{name} {number}" for name, number in node.items())])


def write_section(section: str) -> None:
    """Puts the section between its markers, at the end of the page if it has none, and leaves the others alone."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else INTRODUCTION
    if BEGIN not in page:
        page = f"{page.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def write_picture(name: str, picture: str) -> str:
    """Stores the picture and returns its place, as the page links to it."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
    return f"benchmarks/{name}.svg"
