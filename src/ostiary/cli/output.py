"""Prints the output of commands: tables and lines for people, JSON for programs. Terminal escapes are made visible."""

import json
import re
import sys
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ostiary.core.clock import MICROSECONDS

_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/@:]*):.*@", re.DOTALL)
_IN_QUERY: Final = re.compile(r"([?&]([^=&]*)=)[^&]*")
_WIDTH_IN_A_PIPE: Final = 200  # columns: programs that read a pipe do not wrap lines


def print_json(value: Any) -> None:
    """Prints ``value`` as one line of ASCII."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    sys.stdout.writelines(visible(line) + "\n" for line in lines)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints a name and a value on each line."""
    width = max(map(len, fields))
    print_lines(f"{name:<{width}}  {in_words(value)}" for name, value in fields.items())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table without frames. Cells are wrapped at the terminal's width, never cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, so that a value in [brackets] is not read as rich's markup
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE).print(table)


def in_words(value: Any) -> str:
    """A field's value for people: ``yes``, ``admin user``, ``-`` for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return "-" if value is None or value == "" else str(value)


def visible(text: str) -> str:
    """``text`` with unprintable characters (controls, escapes, direction overrides) written as ``\\x1b``."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def without_password(url: str) -> str:
    """``postgresql://user:…@host/name``."""
    return _IN_QUERY.sub(_without_value, _PASSWORD_IN_URL.sub(r"\1:…@", url))


def _without_value(parameter: re.Match[str]) -> str:
    # drivers decode the names too
    is_password = "pass" in urllib.parse.unquote(parameter[2]).lower()
    return f"{parameter[1]}…" if is_password else parameter[0]


def moment(microseconds: int) -> str:
    """A time in microseconds since the epoch as RFC 3339 in UTC."""
    return rfc3339(datetime.fromtimestamp(microseconds // MICROSECONDS, UTC))


def rfc3339(time: datetime) -> str:
    """A time in UTC as RFC 3339, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def flush() -> None:
    sys.stdout.flush()
