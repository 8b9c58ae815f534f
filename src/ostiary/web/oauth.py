"""How OAuth routes read requests and report errors: forms, and the error object (RFC 6749 §3.2, §5.2)."""

import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from ostiary.errors import Explained, Forbidden, InvalidBody, OstiaryError, RateLimited, RequestError, Unavailable
from ostiary.verifier import Refusal, refusal
from ostiary.web.body import Media, load
from ostiary.web.parameters import read_parameters

MEDIA: Final = (Media.FORM, Media.JSON)

# our codes that these RFCs define as well stay as they are: RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2, RFC 9470 §3
_THEIRS: Final = frozenset(
    {"invalid_client", "invalid_target", "invalid_token", "insufficient_scope", "insufficient_user_authentication"}
)
_DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")  # RFC 6749 §5.2


class Told(NamedTuple):
    status: int
    code: str


def told(error: type[OstiaryError]) -> Told:
    """The error code that RFC 6749 has for an error."""
    if error.code in _THEIRS:
        return Told(error.status, error.code)
    if issubclass(error, RateLimited | Unavailable):
        return Told(error.status, "temporarily_unavailable")
    if issubclass(error, Forbidden):
        return Told(error.status, "access_denied")
    if issubclass(error, InvalidBody):
        return Told(HTTPStatus.BAD_REQUEST, "invalid_request")  # §5.2: 400 unless specified otherwise
    if issubclass(error, RequestError):
        return Told(error.status, "invalid_request")
    return Told(HTTPStatus.INTERNAL_SERVER_ERROR, "server_error")


def error_object(error: OstiaryError) -> Refusal:
    """The complete answer to a request that failed with ``error``."""
    status, code = told(type(error))
    problem = refusal(error)
    headers = {**dict(problem.headers), "content-type": "application/json"}
    if status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        headers.pop("www-authenticate", None)  # it would ask for an access token
    return Refusal(status, list(headers.items()), {"error": code, "error_description": _description(error, problem)})


def _description(error: OstiaryError, problem: Refusal) -> str:
    title: str = problem.body["title"]
    reason = error.reason if isinstance(error, Explained) else ""
    named = f"{title} {reason}" if reason else title
    return named if _DESCRIPTION.fullmatch(named) else title


def members(media: Media, data: bytes) -> dict[str, Any]:
    """The parameters of a body. A parameter without a value counts as omitted (RFC 6749 §3.2).

    Raises:
        InvalidRequest: the form or the JSON is malformed, or a parameter occurs twice.
        InvalidBody: the JSON is not an object.
    """
    if media is Media.FORM:
        return {name: value for name, value in read_parameters(data).items() if value}
    value = load(data)
    if not isinstance(value, dict):
        raise InvalidBody("the body must be `object`")
    return {name: member for name, member in value.items() if member is not None}
