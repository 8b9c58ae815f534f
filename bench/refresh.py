"""Measures durable refresh rotations per second over HTTP.

They are compared with the same route without the database and with other libraries.

    scripts/bench refresh [--connections 64] [--seconds 5] [--rounds 3] [--workers 1 2] [--postgres] [--peers]

The servers (Granian) and the single client process share this machine. SQLite runs with synchronous=FULL and
PostgreSQL with fsync, so the data of every response is on disk. Each connection is a client that spends the refresh
token of its last response and checks the new one. Rounds alternate, so that all contenders run under the same
conditions. Compare the ratios, not the numbers of two runs.

--database also measures your own empty PostgreSQL database. --peers also measures how other libraries look up the
caller in their databases. These are reads, while a refresh writes. The libraries are installed below .cache the first
time.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from _load import Client, Round, run_round
from _servers import ostiary, peer, postgres, sign_in
from peers import better_auth, fastapi_users


@dataclass
class Contender:
    name: str
    port: int
    clients: Sequence[Client]
    rounds: list[Round] = field(default_factory=list)

    def run(self, seconds: float) -> Round:
        return asyncio.run(run_round(self.port, self.clients, seconds))

    @property
    def per_second(self) -> float:
        return statistics.median(each.per_second for each in self.rounds)

    @property
    def line(self) -> str:
        latencies = sorted(latency for each in self.rounds for latency in each.latencies)
        p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
        return f"{self.name:44} {self.per_second:8,.0f} /s   median {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms"


def contenders(given: argparse.Namespace, servers: contextlib.ExitStack) -> Iterator[Contender]:
    folder = Path(servers.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
    for workers in given.workers:
        port = servers.enter_context(ostiary(f"sqlite:///{folder / f'{workers}.db'}", workers=workers))
        yield refreshing(f"refresh, SQLite{several(workers)}", port, given.connections)
        yield refreshing(f"without the database{several(workers)}", port, given.connections, prefix="/plain")
    new_database = servers.enter_context(postgres()) if given.postgres else None
    for workers in given.workers if new_database else ():
        port = servers.enter_context(ostiary(new_database(f"bench{workers}"), workers=workers))
        yield refreshing(f"refresh, PostgreSQL{several(workers)}", port, given.connections)
    if given.database:
        port = servers.enter_context(ostiary(given.database, workers=1))
        yield refreshing("refresh, your database", port, given.connections)
    for name, of_whom in PEERS.items() if given.peers else ():
        if reason := of_whom.install():
            print(f"skipping {name}: {reason}")
            continue
        port = servers.enter_context(peer(of_whom, folder))
        yield Contender(name, port, [of_whom.sign_in(port, number) for number in range(given.connections)])


def refreshing(name: str, port: int, connections: int, *, prefix: str = "/auth") -> Contender:
    return Contender(name, port, [sign_in(port, f"{prefix}/refresh") for _ in range(connections)])


def several(workers: int) -> str:
    return "" if workers == 1 else f", {workers} workers"


PEERS: Final = {"better-auth, get-session": better_auth, "fastapi-users, protected route": fastapi_users}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1])
    arguments.add_argument("--postgres", action="store_true")
    arguments.add_argument("--database")
    arguments.add_argument("--peers", action="store_true")
    given = arguments.parse_args()
    with contextlib.ExitStack() as servers:
        measure(list(contenders(given, servers)), given)


def measure(measured: Sequence[Contender], given: argparse.Namespace) -> None:
    for contender in measured:
        contender.run(1)
    for _ in range(given.rounds):
        for contender in measured:
            contender.rounds.append(contender.run(given.seconds))
    print(f"{given.connections} connections, {given.rounds} rounds of {given.seconds:g} s")
    for contender in measured:
        print(contender.line)
    durable, bare = measured[0], measured[1]
    print(f"{'durable / without the database':44} {durable.per_second / bare.per_second:8.2f}")


if __name__ == "__main__":
    main()
