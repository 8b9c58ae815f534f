"""Fetches one small document over HTTP from a server that may be hostile.

Redirects are not followed, nothing is decompressed, the size is limited, and one deadline covers the whole fetch. The
host name is resolved once. Its addresses are checked, and the connection goes to one of the checked addresses, so a
second answer of the name server (DNS rebinding) has no effect. TLS is verified for the name. Proxies are not used.
"""

import io
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ostiary.errors import ConfigurationError
from ostiary.jose.key_set import MAX_DOCUMENT
from ostiary.verifier.remote.address import AddressRule, is_loopback
from ostiary.verifier.remote.url import Url

if TYPE_CHECKING:
    import socket
    import ssl

MAX_HEADERS: Final = 64 * 1024  # bytes of headers and chunk framing
STEP_SECONDS: Final = 3.0
"""The time for one address to accept a connection, and for a server to send the next bytes."""

JSON: Final = "application/json"

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""(host, port) → its IP addresses as text. Raises OSError."""

_MAX_AGE: Final = re.compile(r"max-age=\"?([0-9]{1,9})\"?", re.IGNORECASE)
_OK, _REDIRECTS, _NOT_THERE = 200, range(300, 400), range(400, 500)
_BAD_REQUEST: Final = 400


class FetchFailed(Exception):
    """The document could not be fetched. The message is for logs and never contains anything that the server sent."""


class NotThere(FetchFailed):
    """The server has no such document at this URL: the answer is 4xx, a redirect, or of another content type."""


class BadRequest(NotThere):
    """The server does not understand the request (400)."""


class Document(NamedTuple):
    body: bytes
    max_age: int | None
    """Seconds according to ``Cache-Control``. 0: it must not be cached. None: the header does not say."""


def resolve_by_system(host: str, port: int) -> list[str]:
    # imported late: verifying with local keys does not need it
    import socket  # noqa: PLC0415

    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Fetcher:
    """Fetches documents.

    Args:
        addresses: The addresses that it may connect to.
        ca_file: A PEM file with the certificate authorities to trust instead of the system's.
        resolve: Resolves host names.

    Raises:
        ConfigurationError: ``ca_file`` cannot be read.
    """

    def __init__(
        self,
        addresses: AddressRule,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        self._addresses = addresses
        self._resolve = resolve
        self._tls = _client_context(ca_file)

    def get(
        self, url: Url, *, until: float, media_type: str = JSON, authorization: str | None = None, pause: float = 0.0
    ) -> Document:
        """The document at ``url``, before ``until`` (`time.monotonic`).

        Args:
            media_type: The media type to request, which the answer must have. For JSON, ``…+json`` is accepted too.
            authorization: A credential for this server, of visible ASCII characters and spaces.
            pause: Seconds for which the server was asked to wait before it answers.

        Raises:
            FetchFailed: the document could not be fetched, for whatever reason.
        """
        # imported late: verifying with local keys does not need it
        import http.client  # noqa: PLC0415

        try:
            with self._connect(url, until) as connection:
                connection.settimeout(_remaining(until))
                connection.sendall(_request(url, media_type, authorization))
                stream = _Stream(connection, until, STEP_SECONDS + pause)
                response = http.client.HTTPResponse(stream, method="GET")  # type: ignore[arg-type]
                with response:
                    response.begin()
                    return _read(response, media_type)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            raise FetchFailed(f"{type(problem).__name__} while asking {url.host}") from None

    def _connect(self, url: Url, until: float) -> "socket.socket":
        # imported late, as above
        import socket  # noqa: PLC0415

        for address in self._permitted(url):
            try:
                connection = socket.create_connection((address, url.port), timeout=_remaining(until))
            except OSError:
                continue
            if url.scheme == "http":
                return connection
            try:
                return self._tls.wrap_socket(connection, server_hostname=url.host)
            except BaseException:
                connection.close()
                raise
        raise FetchFailed(f"no address of {url.host} accepts a connection")

    def _permitted(self, url: Url) -> list[str]:
        permits = is_loopback if url.scheme == "http" else self._addresses.permits
        found = [address for address in self._resolve(url.host, url.port) if permits(address)]
        if not found:
            raise FetchFailed(f"{url.host} has no address in a permitted network: permit its network with networks=…")
        return found


class _Stream(io.RawIOBase):
    """Reads from a connection until the deadline and up to the size limit."""

    def __init__(self, connection: "socket.socket", until: float, step: float) -> None:
        self._connection = connection
        self._until = until
        self._step = step
        self._left = MAX_HEADERS + MAX_DOCUMENT

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_remaining(self._until, self._step))
        received = self._connection.recv_into(buffer)
        self._left -= received
        if self._left < 0:
            raise FetchFailed("the answer is too large")
        return received


def _client_context(ca_file: str | os.PathLike[str] | None) -> "ssl.SSLContext":
    # imported late: verifying with local keys does not need it
    import ssl  # noqa: PLC0415

    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        shown = os.fspath(ca_file or "")
        raise ConfigurationError(f"ca_file {shown!r} cannot be read, or has no certificates in PEM form") from None


def _request(url: Url, media_type: str, authorization: str | None) -> bytes:
    lines = [
        f"GET {url.target} HTTP/1.1",
        f"Host: {url.authority}",
        f"Accept: {media_type}",
        "Accept-Encoding: identity",
        "User-Agent: ostiary",
        "Connection: close",
    ]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _read(response: Any, media_type: str) -> Document:
    _check_answer(response, media_type)
    length = response.length
    body = response.read(MAX_DOCUMENT + 1)  # never without a limit: it would allocate the length that the server claims
    if len(body) > MAX_DOCUMENT:
        raise FetchFailed("the answer is too large")
    if length is not None and len(body) != length:
        raise FetchFailed("the answer is incomplete")
    return Document(body, _max_age(response.getheader("cache-control", "")))


def _refusal(status: int) -> type[FetchFailed]:
    if status == _BAD_REQUEST:
        return BadRequest
    return NotThere if status in _NOT_THERE else FetchFailed


def _check_answer(response: Any, expected: str) -> None:
    if response.status in _REDIRECTS:
        raise NotThere(f"the answer is a redirect (status {response.status:d}), which is not followed")
    if response.status != _OK:
        raise _refusal(response.status)(f"status {response.status:d}")
    if response.getheader("content-encoding", "identity").strip().lower() != "identity":
        raise FetchFailed("the answer is compressed, but was requested without compression")
    media_type = response.getheader("content-type", "").partition(";")[0].strip().lower()
    if media_type != expected and not (expected == JSON and media_type.endswith("+json")):
        raise NotThere(f"the content type of the answer is not {expected}")


def _max_age(cache_control: str) -> int | None:
    directives = [directive.strip().lower() for directive in cache_control.split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0
    ages = [int(found[1]) for directive in directives if (found := _MAX_AGE.fullmatch(directive))]
    return min(ages, default=None)


def _remaining(until: float, step: float | None = None) -> float:
    """The seconds that are left for the next step. Raises FetchFailed if the deadline has passed."""
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise FetchFailed("the answer did not arrive within the deadline")
    return min(remaining, STEP_SECONDS if step is None else step)
