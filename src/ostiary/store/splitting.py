"""Splits the text of a migration into statements, because drivers treat several statements at once differently."""

import re
from collections.abc import Iterator
from typing import Final

# In the order in which they are tried. Whatever opens and never closes is matched by the last one.
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

    Knows ``--`` and ``/* */`` comments and both kinds of quotes, as far as both engines agree on them: comments do not
    nest, and there are no dollar quotes and no triggers.

    Raises:
        ValueError: a quote or comment does not end.
    """
    statement: list[str] = []
    for token in _TOKENS.finditer(text):
        if token.lastgroup == "unclosed":
            line = text.count("\n", 0, token.start()) + 1
            raise ValueError(f"line {line} opens a quote or comment without end")
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
