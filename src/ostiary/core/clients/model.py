"""The rules for the names and resources of service clients."""

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
"""The form that `ostiary.core.entropy.identifier` creates."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as shown in lists. ``created_at`` is in microseconds since the epoch."""

    client: Client
    created_at: int


def can_be_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def checked_name(name: str) -> str:
    """Raises InvalidBody: the name is empty, too long, not printable, starts or ends with a space, or looks like an
    id."""
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidBody(
            f"A client name must have 1 to {_LONGEST_NAME} printable characters and no space at its start or end."
        )
    if name.startswith(CLIENT_PREFIX):
        raise InvalidBody(f"A client name must not start with {CLIENT_PREFIX}, which is the prefix of client ids.")
    return name


def checked_resources(resources: Iterable[str], *, issuer: str) -> frozenset[str]:
    """Raises InvalidBody: a resource is not valid, or there are too many."""
    found = frozenset(resources)
    if len(found) > MOST_RESOURCES:
        raise InvalidBody(f"A client can have at most {MOST_RESOURCES} resources.")
    for resource in sorted(found):
        if (problem := problem_with(resource, issuer=issuer)) is not None:
            raise InvalidBody(problem)
    return found
