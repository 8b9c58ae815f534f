"""How a refusal is told over HTTP: status, headers, and problem details (RFC 9457). The same for every framework.

Nothing that a caller sent is ever repeated here, and no error's private detail.
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
"""RFC 6749 §5.2: in the scheme that clients use. RFC 7617 §2: Basic has a realm."""
PROBLEM_TYPE: Final = "urn:ostiary:problem:"
MEDIA_TYPE: Final = "application/problem+json"

_QUOTABLE: Final = re.compile(r"[ !#-\[\]-~]*")  # RFC 6750 §3: no quote, no backslash, no control character


class Refusal(NamedTuple):
    """An answer, ready for any framework. ``body`` is to be sent as JSON."""

    status: int
    headers: list[tuple[str, str]]
    body: dict[str, Any]


def refusal(error: OstiaryError) -> Refusal:
    """The whole answer to a request that failed with ``error``."""
    body = problem(error)
    headers = [("content-type", MEDIA_TYPE), ("cache-control", "no-store")]
    challenged = challenge(error)
    if challenged is not None:
        headers.append(("www-authenticate", challenged))
    if isinstance(error, RateLimited | Unavailable):
        headers.append(("retry-after", str(error.retry_after)))
    return Refusal(body["status"], headers, body)


def problem(error: OstiaryError) -> dict[str, Any]:
    """The problem object: ``type``, ``title``, ``status``, ``code``, and what `OstiaryError.public` adds."""
    # what is wrong with our configuration is the operator's business: over HTTP it is an error like any other
    shown = OstiaryError() if isinstance(error, ConfigurationError) else error
    return {
        **shown.public(),
        "type": PROBLEM_TYPE + shown.code,
        "title": shown.title,
        "status": shown.status,
        "code": shown.code,
    }


def challenge(error: OstiaryError) -> str | None:
    """The value of ``WWW-Authenticate`` (RFC 6750 §3, RFC 9470 §3), or None where the answer carries none.

    Without a credential, and for a failed sign-in, it is bare: it says what is asked for, and of no error (§3.1).
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
