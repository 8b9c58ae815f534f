"""Formats the results for the console and as a section of docs/benchmarks.md."""

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

Each section names the script that produced it. You can run the scripts yourself. All values in a comparison come from
one run. The rounds of the contenders are interleaved, so that they all run under the same conditions. Each value is the
median of its rounds. Machines differ, and their speed varies over time, so the ratios are more reliable than the
absolute times.

The machine: two cores of a shared server, Debian 12, CPython 3.11.
"""

Table = Sequence[Sequence[str]]
"""Rows of cells. The first row is the header."""


def aligned(table: Table) -> str:
    """Formats a table for the console."""
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
    """Writes the section between its markers and keeps the rest. Without markers, it goes to the end of the page."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else INTRODUCTION
    if BEGIN not in page:
        page = f"{page.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def write_picture(name: str, picture: str) -> str:
    """Stores the picture and returns its path relative to the page."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
    return f"benchmarks/{name}.svg"
