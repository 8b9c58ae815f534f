"""What may be a client's name, and what a resource."""

import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ostiary.core.plug import Client
from ostiary.errors import ConfigurationError, InvalidBody
from ostiary.verifier import CLIENT_PREFIX
from ostiary.verifier.remote.url import Url, read_issuer

MOST_RESOURCES: Final = 100
_LONGEST_NAME: Final = 100  # characters
_LONGEST_RESOURCE: Final = 256  # characters: it becomes the `aud` of access tokens, which a verifier bounds
_WHAT_A_RESOURCE_IS: Final = "A resource is an https URL without user, query and fragment; http on loopback only."

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
    """Absolute URIs without fragment (RFC 8707 §2), query and user, of https or on the loopback interface. They are
    compared to the letter wherever they are met.

    Raises:
        InvalidBody: one is something else, or the issuer, whose own tokens open what is the issuer's; or too many.
    """
    found = frozenset(resources)
    if len(found) > MOST_RESOURCES:
        raise InvalidBody(f"A client has at most {MOST_RESOURCES} resources.")
    own = _place(read_issuer(issuer, development=True))
    for resource in found:
        if _place(_read(resource)) == own:
            raise InvalidBody("The issuer is nobody's resource.")
    return found


def _read(resource: str) -> Url:
    if len(resource) > _LONGEST_RESOURCE:
        raise InvalidBody(f"A resource has at most {_LONGEST_RESOURCE} characters.")
    try:
        return read_issuer(resource, development=True)
    except ConfigurationError:
        raise InvalidBody(_WHAT_A_RESOURCE_IS) from None


def _place(url: Url) -> tuple[tuple[str, str, int], str]:
    """The same for every spelling of one place."""
    return url.origin, urllib.parse.unquote(url.path).rstrip("/")
