"""Measures POST /auth/introspect requests per second over HTTP, compared with GET /auth/me.

    scripts/bench introspection [--connections 64] [--seconds 5] [--rounds 3] [--workers 1]

Each connection asks about its own access token, as a service client with a secret. The server looks up the client and
verifies the token without its cache, because a result for one audience must not be used for another. Rounds alternate.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _load import Client, Round, Showing, run_round
from _revocation.served import Caller, Server, serving

from ostiary.verifier import ClientCredentials

RESOURCE = "https://orders.example.com"


class Asking:
    """Introspects one token repeatedly and expects it to be active."""

    def __init__(self, token: str, authorization: str) -> None:
        body = f"token={token}"
        self._request = (
            "POST /auth/introspect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            f"authorization: {authorization}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def request(self) -> bytes:
        return self._request

    def take(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 200 ") or b'"active":true' not in body:
            raise RuntimeError((head + body).decode())


def clients(server: Server, connections: int) -> tuple[list[Client], list[Client]]:
    """Returns the clients that introspect and the clients that request /auth/me."""
    made = server.command("clients", "create", "bench", "--resource", RESOURCE)
    authorization = ClientCredentials(made["id"], made["secret"]).authorization
    callers = [Caller(server).register() for _ in range(connections)]
    asking = [Asking(caller.login(resource=RESOURCE)["access_token"], authorization) for caller in callers]
    tokens = [caller.login() for caller in callers]
    showing = [
        Showing("/auth/me", f"authorization: Bearer {each['access_token']}", each["session_id"]) for each in tokens
    ]
    return [*asking], [*showing]


def show(name: str, rounds: Sequence[Round]) -> None:
    latencies = sorted(latency for each in rounds for latency in each.latencies)
    rate = statistics.median(each.per_second for each in rounds)
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(f"{name:24} {rate:8.0f} /s   median {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")


def measure(server: Server, given: argparse.Namespace) -> None:
    asking, showing = clients(server, given.connections)
    for warming_up in (asking, showing):
        asyncio.run(run_round(server.port, warming_up, 1))
    introspected, me = [], []
    for _ in range(given.rounds):
        introspected.append(asyncio.run(run_round(server.port, asking, given.seconds)))
        me.append(asyncio.run(run_round(server.port, showing, given.seconds)))
    print(f"{given.connections} connections, {given.workers} worker(s), {given.rounds} rounds of {given.seconds:g} s")
    show("POST /auth/introspect", introspected)
    show("GET /auth/me", me)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        measure(stack.enter_context(serving(folder, "--workers", str(given.workers), settings={})), given)


if __name__ == "__main__":
    main()
