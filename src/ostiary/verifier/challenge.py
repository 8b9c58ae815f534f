"""Errors as HTTP answers: status, headers and problem details (RFC 9457). The same for every framework.

The answers never contain anything that the caller sent, nor the private detail of an error.
"""

import re
from typing import Any, Final, NamedTuple

from ostiary.errors import (
    ConfigurationError,
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidClient,
    InvalidToken,
    MalformedCredential,
    MultipleCredentials,
    OstiaryError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

SCHEME: Final = "Bearer"
CLIENT_CHALLENGE: Final = 'Basic realm="ostiary"'
"""RFC 6749 §5.2: the challenge uses the scheme of the client. RFC 7617 §2: Basic requires a realm."""
PROBLEM_TYPE: Final = "urn:ostiary:problem:"
MEDIA_TYPE: Final = "application/problem+json"

_QUOTABLE: Final = re.compile(r"[ !#-\[\]-~]*")  # RFC 6750 §3: no quote, no backslash, no control character


class Refusal(NamedTuple):
    """An HTTP answer for any framework. Send ``body`` as JSON."""

    status: int
    headers: list[tuple[str, str]]
    body: dict[str, Any]


def refusal(error: OstiaryError) -> Refusal:
    """The complete answer to a request that failed with ``error``."""
    body = problem(error)
    headers = [("content-type", MEDIA_TYPE), ("cache-control", "no-store")]
    challenged = challenge(error)
    if challenged is not None:
        headers.append(("www-authenticate", challenged))
    if isinstance(error, RateLimited | Unavailable):
        headers.append(("retry-after", str(error.retry_after)))
    return Refusal(body["status"], headers, body)


def problem(error: OstiaryError) -> dict[str, Any]:
    """The problem object: ``type``, ``title``, ``status``, ``code``, and the members of `OstiaryError.public`."""
    # configuration errors are for the operator only: a caller sees the generic error
    shown = OstiaryError() if isinstance(error, ConfigurationError) else error
    return {
        **shown.public(),
        "type": PROBLEM_TYPE + shown.code,
        "title": shown.title,
        "status": shown.status,
        "code": shown.code,
    }


def challenge(error: OstiaryError) -> str | None:
    """The value of ``WWW-Authenticate`` (RFC 6750 §3, RFC 9470 §3), or None if the answer has no such header.

    If the credential is missing or the sign-in failed, the challenge names only the scheme and no error (§3.1).
    """
    match error:
        case InvalidToken():
            return _written(error="invalid_token")
        case InsufficientUserAuthentication():
            return _written(
                error="insufficient_user_authentication", acr_values=error.acr_values, max_age=error.max_age
            )
        case InsufficientScope():
            return _written(error="insufficient_scope", scope=error.scope)
        case MalformedCredential() | MultipleCredentials():
            return _written(error="invalid_request")
        case InvalidClient():
            return CLIENT_CHALLENGE
        case Unauthenticated():
            return SCHEME
        case _:
            return None


def _written(**parameters: str | int | None) -> str:
    quoted = [
        f'{name}="{value}"'
        for name, value in parameters.items()
        if value is not None and _QUOTABLE.fullmatch(str(value))
    ]
    return f"{SCHEME} {', '.join(quoted)}"
