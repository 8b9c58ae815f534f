"""What may be the audience of access tokens beside the issuer: one rule for the setting and for service clients."""

import urllib.parse
from typing import Final

from ostiary.errors import ConfigurationError
from ostiary.verifier.remote.url import Url, read_issuer

_LONGEST: Final = 256  # characters: it becomes the `aud` of access tokens, which a verifier bounds


def problem_with(resource: str, *, issuer: str) -> str | None:
    """Why a text is not an absolute URI without fragment (RFC 8707 §2), query and user, of https or on the loopback
    interface, or is the issuer, whose own tokens open what is the issuer's. None: it may be a resource. They are
    compared to the letter wherever they are met."""
    if len(resource) > _LONGEST:
        return f"A resource has at most {_LONGEST} characters."
    try:
        url = read_issuer(resource, development=True)
    except ConfigurationError:
        return "A resource is an https URL without user, query and fragment; http on loopback only."
    if _place(url) == _place(read_issuer(issuer, development=True)):
        return "The issuer is nobody's resource."
    return None


def _place(url: Url) -> tuple[tuple[str, str, int], str]:
    """The same for every spelling of one place."""
    return url.origin, urllib.parse.unquote(url.path).rstrip("/")
