"""What every door has: the way to the open installation, and who acts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ostiary.core.plug import Actor, Ambient
from ostiary.errors import InvalidBody, NotFound
from ostiary.store.values import checked

T = TypeVar("T")

if TYPE_CHECKING:
    from typing_extensions import TypeVar as WithDefault

    P = WithDefault("P", default=Any)
else:
    P = TypeVar("P")
"""The application's profile class. Type checkers take Any where it is not given."""

MOST_LISTED: Final = 1000
"""Entries of one page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. ``next`` goes into ``after`` to get the following part; None at the end."""

    items: tuple[T, ...]
    next: str | None


class Door:
    """Verbs of one kind, in the name of one actor."""

    def __init__(self, ambient: Callable[[], Ambient], actor: Actor) -> None:
        self._need = ambient
        self._actor = actor

    @property
    def _ambient(self) -> Ambient:
        """Raises Unavailable unless the installation is open."""
        return self._need()


def check_id(text: str) -> None:
    """An id that may come from a caller. Raises NotFound for a text that no database can hold: nothing is called so."""
    if not _is_storable(text):
        raise NotFound("no such id")


def check_text(name: str, text: str) -> None:
    """Raises InvalidBody for a text that no database can hold."""
    if not _is_storable(text):
        raise InvalidBody(f"`{name}` has characters that cannot be stored")


def _is_storable(text: str) -> bool:
    try:
        checked((text,))
    except ValueError:
        return False
    return True


def checked_limit(limit: int) -> int:
    """Raises ValueError unless between 1 and `MOST_LISTED`."""
    if not 1 <= limit <= MOST_LISTED:
        raise ValueError(f"limit must be between 1 and {MOST_LISTED}, not {limit}")
    return limit
