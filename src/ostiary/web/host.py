"""Checks the Host header. Nothing is ever derived from it, but a proxy may have chosen its rules by another one."""

from typing import Final

from starlette.types import Scope

from ostiary.errors import InvalidRequest

_MUST_NAME_ONE: Final = "1.1"  # HTTP/1.0 had no Host header. In HTTP/2, servers derive it from :authority.


def check_host(scope: Scope) -> None:
    """Raises InvalidRequest for two Host headers, and for a request of HTTP/1.1 without one (RFC 9112 §3.2)."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1:
        raise InvalidRequest("the request has more than one Host header")
    if scope.get("http_version") == _MUST_NAME_ONE and not any(hosts):
        raise InvalidRequest("the request has no Host header")
