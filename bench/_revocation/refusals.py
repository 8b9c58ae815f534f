"""Measures the time from the response to a logout until an access token of the session is refused, over HTTP.

The time ends when the refusal arrives. It includes the request itself and half a millisecond between two requests. For
the process that ended the session, this is almost the whole measured time.
"""

import asyncio
import contextlib
import multiprocessing
import random  # noqa: TID251 — a benchmark has no Ambient
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from _load import Refreshing, run_round
from _revocation.served import Caller, Server, callers_of_two_workers, on_postgres, serving
from _servers import postgres

from ostiary.errors import TokenRevoked
from ostiary.store.feed import POLL_SECONDS
from ostiary.verifier import ClientCredentials, RemoteVerifier, Verifier

RESOURCE: Final = "https://orders.example.com"
BETWEEN: Final = 0.0005  # seconds
WARMING_UP: Final = 2.0
WORKER_TARGET, NODE_TARGET = 0.1, 1.0  # seconds
LOAD: Final = 16
"""Connections that refresh as fast as possible, in the rows with load."""

_LONG: Final = 3600.0  # seconds
_LOADED: Final = f", while {LOAD} connections refresh"

Tokens = Mapping[str, str]


class Row(NamedTuple):
    where: str
    target: float | None
    taken: list[float]
    """Seconds."""

    def percentile(self, percent: int) -> float:
        return sorted(self.taken)[min(len(self.taken) - 1, len(self.taken) * percent // 100)]


def every_row(folder: Path, trials: int) -> Iterator[Row]:
    yield from on_sqlite(folder, trials)
    with postgres() as create:
        yield from on_two_nodes(folder, create("bench"), trials)
        yield on_two_nodes_unnotified(folder, create("unnotified"), trials)


def on_sqlite(folder: Path, trials: int) -> Iterator[Row]:
    with serving(folder, "--workers", "2", settings={}) as server:
        caller = Caller(server).register()
        yield Row("the same process", None, measure(trials, caller, caller.is_refused))
        caller, other = callers_of_two_workers(server)  # only now, because the server closes idle connections
        caller.register()
        yield Row("another worker (SQLite)", WORKER_TARGET, measure(trials, caller, other.is_refused))
        with loaded(server):
            yield Row(f"the same{_LOADED}", WORKER_TARGET, measure(trials, caller, other.is_refused))
        with following(server) as verifier:
            taken = measure(trials, caller, lambda tokens: refuses(verifier, tokens), resource=RESOURCE)
            yield Row("a remote verifier by the signed feed (SQLite)", NODE_TARGET, taken)


def on_two_nodes(folder: Path, database: str, trials: int) -> Iterator[Row]:
    with on_postgres(folder, database) as (issuer, other):
        caller = Caller(other).register()
        asked = Caller(issuer)
        yield Row("another node (PostgreSQL)", NODE_TARGET, measure(trials, caller, asked.is_refused))
        with loaded(issuer, other):
            yield Row(f"the same{_LOADED}", NODE_TARGET, measure(trials, caller, asked.is_refused))
        with following(issuer) as verifier:
            taken = measure(trials, caller, lambda tokens: refuses(verifier, tokens), resource=RESOURCE)
            yield Row("a remote verifier by the signed feed of another node", NODE_TARGET, taken)


def on_two_nodes_unnotified(folder: Path, database: str, trials: int) -> Row:
    """A proxy that pools transactions does not support notifications."""
    with on_postgres(folder, f"{database}?pooler=true") as (issuer, other):
        taken = measure(trials, Caller(other).register(), Caller(issuer).is_refused)
        return Row("another node, by polling alone (pooler=true)", NODE_TARGET, taken)


@contextlib.contextmanager
def loaded(*servers: Server) -> Iterator[None]:
    """Keeps refreshing from a separate process until the block ends."""
    work = []
    for server in servers:
        tokens = [Caller(server).register().login()["refresh_token"].encode() for _ in range(LOAD // len(servers))]
        work.append((server.port, tokens))
    process = multiprocessing.get_context("spawn").Process(target=_refresh, args=(work,), daemon=True)
    process.start()
    time.sleep(WARMING_UP)
    try:
        yield
        if not process.is_alive():
            raise RuntimeError("the load ended before the measurement")
    finally:
        process.terminate()
        process.join()


def _refresh(work: Sequence[tuple[int, Sequence[bytes]]]) -> None:
    async def refresh() -> None:
        rounds = [
            run_round(port, [Refreshing("/auth/refresh", token) for token in tokens], _LONG) for port, tokens in work
        ]
        await asyncio.gather(*rounds)

    asyncio.run(refresh())


@contextlib.contextmanager
def following(server: Server) -> Iterator[RemoteVerifier]:
    client = server.command("clients", "create", "bench", "--resource", RESOURCE)
    credentials = ClientCredentials(client["id"], client["secret"])
    with Verifier.remote(server.url, audience=RESOURCE, feed=credentials, development=True) as verifier:
        verifier.refresh()
        yield verifier


def refuses(verifier: RemoteVerifier, tokens: Tokens) -> bool:
    try:
        verifier.verify(tokens["access_token"])
    except TokenRevoked:
        return True
    return False


def measure(trials: int, caller: Caller, is_refused: Callable[[Tokens], bool], **fields: str) -> list[float]:
    """``caller`` signs in with ``fields`` and signs out at a random moment between two polls of the other processes."""
    taken = []
    for _ in range(trials):
        tokens = caller.login(**fields)
        if is_refused(tokens):
            raise RuntimeError("a new token is refused")
        time.sleep(random.uniform(0, POLL_SECONDS))
        caller.logout(tokens)
        answered_at = time.perf_counter()
        while not is_refused(tokens):
            time.sleep(BETWEEN)
        taken.append(time.perf_counter() - answered_at)
    return taken
