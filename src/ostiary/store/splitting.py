"""Splits the text of a migration into statements, because drivers differ in how they run several at once."""

import re
from collections.abc import Iterator
from typing import Final

# In the order in which they are tried. The last one matches a quote or comment that is never closed.
_TOKENS: Final = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<quoted>  '(?:[^']|'')*' | "(?:[^"]|"")*" )
    | (?P<end>     ; )
    | (?P<plain>   [^-/'";]+ | -(?!-) | /(?!\*) )
    | (?P<unclosed> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(text: str) -> Iterator[str]:
    """The statements, without comments and closing semicolons.

    Supports ``--`` and ``/* */`` comments and both kinds of quotes, as far as both engines agree on them. Nested
    comments, dollar quotes and triggers are not supported.

    Raises:
        ValueError: a quote or comment is never closed.
    """
    statement: list[str] = []
    for token in _TOKENS.finditer(text):
        if token.lastgroup == "unclosed":
            line = text.count("\n", 0, token.start()) + 1
            raise ValueError(f"line {line} opens a quote or comment that is never closed")
        if token.lastgroup == "end":
            yield from _worth_running(statement)
            statement = []
        else:
            # a comment separates words as a space does
            statement.append(" " if token.lastgroup == "comment" else token[0])
    yield from _worth_running(statement)


def _worth_running(parts: list[str]) -> Iterator[str]:
    if statement := "".join(parts).strip():
        yield statement
