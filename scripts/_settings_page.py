"""Writes docs/settings.md from the settings classes: prints the page, or with --write or --check compares the file."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ostiary.app.slices import enabled, stated
from ostiary.core.settings import Secret, Section, Settings, shown
from ostiary.core.settings.section import Setting
from ostiary.store.hot import Rate

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

TEXT: Final = Path(__file__).with_suffix(".md")
"""What is written by hand. The tables follow it."""

_HEADER: Final = ("| setting | default | bounds or choices | what it does |", "|---|---|---|---|")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/settings.md")
    parser.add_argument("--check", action="store_true", help="fail if docs/settings.md differs")
    options = parser.parse_args(arguments)
    text = page()
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    elif not options.check:
        sys.stdout.write(text)
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/settings.md differs from the code: run scripts/fix")
        return 1
    return 0


def page() -> str:
    tables = ["\n".join(_table(section)) for section in (Settings, *stated(enabled()))]
    return "\n\n".join([TEXT.read_text(encoding="utf-8").rstrip("\n"), *tables]) + "\n"


def _table(section: type[Section]) -> Iterator[str]:
    yield f"## {section.section or 'Without a section'}"
    yield ""
    if section.section:
        yield f"In Python: `{section.__name__}`."
        yield ""
    yield from _HEADER
    for each in section.settings():
        yield f"| `{each.name}` | {_default(each)} | {_bounds(each)} | {_cell(each.facts.doc)} |"


def _default(setting: Setting) -> str:
    if setting.facts.default_from is not None:
        return f"the value of `{setting.facts.default_from}`"
    text = shown(setting.default)
    return f"`{_cell(text)}`" if text else "none"


def _bounds(setting: Setting) -> str:
    facts = setting.facts
    if facts.choices:
        return ", ".join(f"`{choice}`" for choice in facts.choices)
    if facts.least is not None or facts.most is not None:
        return f"{facts.least} to {facts.most}"
    kinds = {bool: "`true`, `false`", int: "a whole number", Rate: "a rate", tuple[str, ...]: "a list"}
    return "a secret" if setting.hint == Secret | None else kinds.get(setting.hint, "text")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
