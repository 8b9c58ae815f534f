"""Resources: audiences of access tokens other than the issuer. The setting and service clients share one rule."""

import urllib.parse
from typing import Final

from ostiary.errors import ConfigurationError
from ostiary.verifier.remote.url import Url, read_issuer

_LONGEST: Final = 256  # characters: a resource becomes the `aud` of access tokens, whose length verifiers limit


def problem_with(resource: str, *, issuer: str) -> str | None:
    """Why a text cannot be a resource, or None if it can.

    A resource is an absolute URI without fragment (RFC 8707 §2), query and user, with https or on the loopback
    interface. It must not be the issuer, because tokens for the issuer give access to Ostiary itself. Resources are
    compared exactly everywhere.
    """
    if len(resource) > _LONGEST:
        return f"A resource can have at most {_LONGEST} characters."
    try:
        url = read_issuer(resource, development=True)
    except ConfigurationError:
        return "A resource must be an https URL without user, query and fragment. http is allowed on loopback only."
    if _place(url) == _place(read_issuer(issuer, development=True)):
        return "The issuer cannot be a resource."
    return None


def _place(url: Url) -> tuple[tuple[str, str, int], str]:
    """Equal for all spellings of the same URL."""
    return url.origin, urllib.parse.unquote(url.path).rstrip("/")
