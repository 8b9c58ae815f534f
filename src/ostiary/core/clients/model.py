"""What may be a client's name, and what a resource."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ostiary.core.plug import Client
from ostiary.core.resource import problem_with
from ostiary.errors import InvalidBody
from ostiary.verifier import CLIENT_PREFIX

MOST_RESOURCES: Final = 100
_LONGEST_NAME: Final = 100  # characters

_ID: Final = re.compile(CLIENT_PREFIX + r"[a-z2-7]{26}")
"""As `ostiary.core.entropy.identifier` makes it."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as it stands in lists. ``created_at`` is in microseconds since the epoch."""

    client: Client
    created_at: int


def can_be_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def checked_name(name: str) -> str:
    """Raises InvalidBody: empty, long, not to be shown, or like an id."""
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidBody(f"A client's name has 1 to {_LONGEST_NAME} characters that can be shown.")
    if name.startswith(CLIENT_PREFIX):
        raise InvalidBody(f"A client's name does not begin as an id does: {CLIENT_PREFIX}")
    return name


def checked_resources(resources: Iterable[str], *, issuer: str) -> frozenset[str]:
    """Raises InvalidBody: one of them cannot be a resource, or they are too many."""
    found = frozenset(resources)
    if len(found) > MOST_RESOURCES:
        raise InvalidBody(f"A client has at most {MOST_RESOURCES} resources.")
    for resource in sorted(found):
        if (problem := problem_with(resource, issuer=issuer)) is not None:
            raise InvalidBody(problem)
    return found
