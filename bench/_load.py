"""The load: persistent connections. Each client checks the complete response and then sends its next request."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Client(Protocol):
    """One caller with its own credential."""

    def request(self) -> bytes:
        """Returns the next request, head and body."""

    def take(self, head: bytes, body: bytes) -> None:
        """Checks the response and keeps what the next request needs. Raises RuntimeError unless it was successful."""


class Refreshing:
    """Spends its refresh token, and then spends the new token from each response in the next request."""

    def __init__(self, path: str, token: bytes) -> None:
        self._token = token
        self._before = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f'content-length: {len(token) + 20}\r\n\r\n{{"refresh_token":"'
        ).encode()

    def request(self) -> bytes:
        return self._before + self._token + b'"}'

    def take(self, head: bytes, body: bytes) -> None:
        token = body.partition(b'"refresh_token":"')[2].partition(b'"')[0]
        if not head.startswith(b"HTTP/1.1 200 ") or len(token) != len(self._token) or token == self._token:
            raise RuntimeError((head + body).decode())
        self._token = token


class Round(NamedTuple):
    per_second: float
    latencies: list[float]
    """Seconds."""


async def run_round(port: int, clients: Sequence[Client], seconds: float) -> Round:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections = [
        (await loop.create_connection(lambda c=client: _Connection(c, started + seconds), "127.0.0.1", port))[1]
        for client in clients
    ]
    await asyncio.gather(*(connection.done for connection in connections))
    took = time.perf_counter() - started
    latencies = [latency for connection in connections for latency in connection.latencies]
    return Round(len(latencies) / took, latencies)


class _Connection(asyncio.Protocol):
    def __init__(self, client: Client, until: float) -> None:
        self._client, self._until = client, until
        self.latencies: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._client.request())

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator or not _is_complete(head, body):
            return
        self._got = b""
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        try:
            self._client.take(head, body)
        except RuntimeError as problem:
            self.done.set_exception(problem)
            self._transport.close()
            return
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(problem or ConnectionError("the server closed the connection"))


def _is_complete(head: bytes, body: bytes) -> bool:
    fields = head.lower()
    length = fields.partition(b"content-length:")[2]
    if length:
        return len(body) >= int(length.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")  # chunked, as Node sends streamed responses
