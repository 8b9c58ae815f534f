"""A text that must not be printed."""

from typing import Final, Self

NEW_SECRET: Final = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105 — the command, no secret
"""The command that prints a new master secret."""


class Secret(str):
    """A text that must not be printed: its repr and its format hide it. Read it with ``reveal()``."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        # str() of a secret is what is shown in its place
        return super().__new__(cls, text.reveal() if isinstance(text, Secret) else text)

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def reveal(self) -> str:
        return str.__str__(self)
