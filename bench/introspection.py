"""Measures POST /auth/introspect requests per second over HTTP, compared with GET /auth/me.

    scripts/bench introspection [--connections 64] [--seconds 5] [--rounds 3] [--workers 1]

Each connection asks about its own access token, as a service client with a secret. The server looks up the client and
verifies the token without its cache, because a result for one audience must not be used for another. Rounds alternate.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _revocation.served import Caller, Server, serving
from _wrk import Load, Round, run_round

from ostiary.verifier import ClientCredentials

RESOURCE = "https://orders.example.com"


def loads(server: Server, connections: int) -> tuple[Load, Load]:
    """Returns the load that introspects and the load that requests /auth/me."""
    made = server.command("clients", "create", "bench", "--resource", RESOURCE)
    authorization = ClientCredentials(made["id"], made["secret"]).authorization
    callers = [Caller(server).register() for _ in range(connections)]
    introspect = Load(
        line="POST /auth/introspect",
        headers=["content-type: application/x-www-form-urlencoded", f"authorization: {authorization}"],
        body="token=TOKEN",
        tokens=[caller.login(resource=RESOURCE)["access_token"] for caller in callers],
        pattern='"active":true',
    )
    me = Load(
        line="GET /auth/me",
        headers=["authorization: Bearer "],
        tokens=[caller.login()["access_token"] for caller in callers],
        pattern='"session":{"id":"',
    )
    return introspect, me


def show(name: str, rounds: Sequence[Round]) -> None:
    rate = statistics.median(each.per_second for each in rounds)
    median, p99 = (1000 * statistics.median(getattr(each, name) for each in rounds) for name in ("median", "p99"))
    print(f"{name:24} {rate:8.0f} /s   median {median:6.1f} ms   p99 {p99:6.1f} ms")


def measure(server: Server, given: argparse.Namespace) -> None:
    asking, showing = loads(server, given.connections)
    for warming_up in (asking, showing):
        run_round(server.port, warming_up, 1)
    introspected, me = [], []
    for _ in range(given.rounds):
        introspected.append(run_round(server.port, asking, given.seconds))
        me.append(run_round(server.port, showing, given.seconds))
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
