"""Durable refresh rotations a second over HTTP, beside the same route without the database.

    scripts/bench refresh [--connections 64] [--seconds 5] [--rounds 3] [--database postgresql://…]

One server process (Granian, one worker), one client process, on this machine. SQLite with synchronous=FULL: an answer
is on the disk. Rounds alternate, so that both meet the same machine; compare the ratio, not the numbers of two runs.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

BENCH = Path(__file__).parent
PASSWORD = "a door for every porter"


class Round(NamedTuple):
    per_second: float
    latencies: list[float]


class Connection(asyncio.Protocol):
    """One keep-alive connection: sends the next refresh when the last answer is complete."""

    def __init__(self, path: str, token: bytes, until: float) -> None:
        self._path, self.token, self._until = path.encode(), token, until
        self.latencies: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        body = b'{"refresh_token":"' + self.token + b'"}'
        self._sent_at = time.perf_counter()
        self._transport.write(
            b"POST " + self._path + b" HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self._got = b""
        if not head.startswith(b"HTTP/1.1 200") or b'"refresh_token":"' not in body:
            self.done.set_exception(RuntimeError((head + body).decode()))
            return
        self.token = body.split(b'"refresh_token":"')[1].split(b'"')[0]
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)


async def run_round(port: int, path: str, tokens: list[bytes], seconds: float) -> Round:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        (await loop.create_connection(lambda t=token: Connection(path, t, started + seconds), "127.0.0.1", port))[1]
        for token in tokens
    ]
    await asyncio.gather(*(connection.done for connection in made))
    took = time.perf_counter() - started
    tokens[:] = [connection.token for connection in made]
    latencies = [latency for connection in made for latency in connection.latencies]
    return Round(len(latencies) / took, latencies)


def post(port: int, path: str, body: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body.encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def sign_in(port: int, number: int) -> bytes:
    credentials = f'{{"email":"bench{number}@example.com","password":"{PASSWORD}"}}'
    post(port, "/auth/register", credentials)
    return post(port, "/auth/login", credentials).split(b'"refresh_token":"')[1].split(b'"')[0]


def serve(port: int, database: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--no-access-log"]
    command += ["--log-level", "error", "_served:app"]
    environ = {**os.environ, "OSTIARY_DATABASE": database}
    if not database.startswith("sqlite:"):
        environ.setdefault("OSTIARY_SECRET", os.urandom(32).hex())
        migrate = "import asyncio, _served; asyncio.run(_served.auth.migrate())"
        subprocess.run([sys.executable, "-c", migrate], cwd=BENCH, env=environ, check=True)
    server = subprocess.Popen(command, cwd=BENCH, env=environ)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise SystemExit("the server did not start")


def show(name: str, rounds: list[Round]) -> float:
    latencies = sorted(latency for each in rounds for latency in each.latencies)
    rate = statistics.median(each.per_second for each in rounds)
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(f"{name:32} {rate:8.0f} /s   median {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")
    return rate


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--database")
    given = arguments.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        server = serve(port, given.database or f"sqlite:///{Path(folder) / 'bench.db'}")
        try:
            measure(port, given)
        finally:
            server.terminate()
            server.wait()


def measure(port: int, given: argparse.Namespace) -> None:
    rotated = [sign_in(port, number) for number in range(given.connections)]
    plain = [sign_in(port, given.connections + number) for number in range(given.connections)]
    asyncio.run(run_round(port, "/auth/refresh", rotated, 1))
    asyncio.run(run_round(port, "/plain/refresh", plain, 1))
    durable, bare = [], []
    for _ in range(given.rounds):
        durable.append(asyncio.run(run_round(port, "/auth/refresh", rotated, given.seconds)))
        bare.append(asyncio.run(run_round(port, "/plain/refresh", plain, given.seconds)))
    print(f"{given.connections} connections, {given.rounds} rounds of {given.seconds:g} s")
    ratio = show("refresh, durable", durable) / show("the same without the database", bare)
    print(f"durable / without the database    {ratio:6.2f}")


if __name__ == "__main__":
    main()
