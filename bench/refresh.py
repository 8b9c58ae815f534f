"""Measures durable refresh rotations per second over HTTP.

They are compared with the same route without the database and with other libraries.

    scripts/bench refresh [--connections 64] [--seconds 5] [--rounds 3] [--workers 1 2] [--postgres] [--peers]

The servers (Granian) and wrk, which sends the requests, share this machine. SQLite runs with synchronous=FULL and
PostgreSQL with fsync, so the data of every response is on disk. Each request spends the refresh token of an earlier
response, and there is one session for each connection. Rounds alternate, so that all contenders run under the same
conditions. Compare the ratios, not the numbers of two runs.

--database also measures your own empty PostgreSQL database. --peers also measures how other libraries look up the
caller in their databases. These are reads, while a refresh writes. The libraries are installed below .cache the first
time.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from _servers import Server, ostiary, peer, postgres, refreshing, register
from _wrk import Load, Round, run_round
from peers import better_auth, fastapi_users


@dataclass
class Contender:
    name: str
    server: Server
    load: Callable[[], Load]
    """Called before each round. A refresh that is under way when a round ends spends a token without a response."""
    rounds: list[Round] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Seconds of the server's processor time for one request, per round."""

    def run(self, seconds: float) -> None:
        load, before = self.load(), self.server.processor_time()
        done = run_round(self.server.port, load, seconds)
        self.rounds.append(done)
        self.costs.append((self.server.processor_time() - before) / done.requests)

    @property
    def per_second(self) -> float:
        return statistics.median(each.per_second for each in self.rounds)

    @property
    def line(self) -> str:
        median, p99 = (
            1000 * statistics.median(getattr(each, name) for each in self.rounds) for name in ("median", "p99")
        )
        cost = 1e6 * statistics.median(self.costs)
        return (
            f"{self.name:36} {self.per_second:7,.0f} /s   median {median:6.1f} ms   p99 {p99:6.1f} ms   {cost:6,.0f} µs"
        )


def contenders(given: argparse.Namespace, servers: contextlib.ExitStack) -> Iterator[Contender]:
    folder = Path(servers.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
    for workers in given.workers:
        server = servers.enter_context(ostiary(f"sqlite:///{folder / f'{workers}.db'}", workers=workers))
        accounts = register(server.port, given.connections)
        yield refreshes(f"refresh, SQLite{several(workers)}", server, accounts)
        yield refreshes(f"without the database{several(workers)}", server, accounts, prefix="/plain")
    new_database = servers.enter_context(postgres()) if given.postgres else None
    for workers in given.workers if new_database else ():
        server = servers.enter_context(ostiary(new_database(f"bench{workers}"), workers=workers))
        yield refreshes(f"refresh, PostgreSQL{several(workers)}", server, register(server.port, given.connections))
    if given.database:
        server = servers.enter_context(ostiary(given.database, workers=1))
        yield refreshes("refresh, your database", server, register(server.port, given.connections))
    for name, of_whom in PEERS.items() if given.peers else ():
        if reason := of_whom.install():
            print(f"skipping {name}: {reason}")
            continue
        server = servers.enter_context(peer(of_whom, folder))
        load = of_whom.load(server.port, given.connections)
        yield Contender(name, server, lambda load=load: load)


def refreshes(name: str, server: Server, accounts: Sequence[str], *, prefix: str = "/auth") -> Contender:
    return Contender(name, server, lambda: refreshing(server.port, f"{prefix}/refresh", accounts))


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
        contender.rounds.clear()
        contender.costs.clear()
    for _ in range(given.rounds):
        for contender in measured:
            contender.run(given.seconds)
    print(f"{given.connections} connections, {given.rounds} rounds of {given.seconds:g} s. Last: the server's time")
    for contender in measured:
        print(contender.line)
    durable, bare = measured[0], measured[1]
    print(f"{'durable / without the database':36} {durable.per_second / bare.per_second:7.2f}")


if __name__ == "__main__":
    main()
