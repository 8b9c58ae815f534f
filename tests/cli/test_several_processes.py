"""Rotation and revocation across processes that share only a database: two workers on SQLite, and two servers on
PostgreSQL."""

import contextlib
import hashlib
import itertools
import os
import secrets
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.cli.program import PATIENCE, Caller, Served, call, sockets

CONNECTIONS = 16
"""Half of them to each address. The kernel assigns connections to workers at random: all 16 go to the same one of two
workers once in 32,768 runs."""

SETTINGS = {
    "OSTIARY_SESSIONS_REFRESH_LIMIT": "9999/1s",  # the tests refresh in loops
    "OSTIARY_SIGN_IN_LIMIT": "1000/second",
    "OSTIARY_SIGN_IN_ACCOUNT_LIMIT": "1000/second",
    "OSTIARY_REGISTRATION_LIMIT": "1000/second",
    "OSTIARY_SESSIONS_LIMIT": "1000",
}

PLAIN = False  # these tests use no TLS, and loading certificates for each client would take most of the time

_numbers = itertools.count(1)


@dataclass
class Nodes:
    """Processes that serve one installation. A command on that installation needs ``folder`` and ``environ``."""

    clients: Sequence[httpx.Client]
    folder: Path
    environ: dict[str, str]

    def person(self) -> Caller:
        return Caller(self.clients[0], f"person{next(_numbers)}@example.com").register()

    def statuses(self, tokens: dict[str, Any]) -> set[int]:
        """The statuses with which all the processes answer an access token."""
        return {me(client, tokens).status_code for client in self.clients}


@pytest.fixture(scope="module", params=["two workers on SQLite", "two servers on PostgreSQL"])
def nodes(request, tmp_path_factory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with contextlib.ExitStack() as stack:
        if "SQLite" in request.param:
            environ = SETTINGS
            urls = [stack.enter_context(Served(folder, "--workers", 2, environ=environ)).ready().url]
        else:
            environ = stack.enter_context(on_postgres(request.getfixturevalue("postgres_server"), folder))
            servers = [stack.enter_context(Served(folder, environ=environ)) for _ in range(2)]
            urls = [server.ready().url for server in servers]
        clients = [stack.enter_context(connected(url)) for _ in range(CONNECTIONS // len(urls)) for url in urls]
        yield Nodes(clients, folder, environ)


@contextlib.contextmanager
def on_postgres(server, folder) -> Iterator[dict[str, str]]:
    """Creates and migrates a database, and yields the environment of its servers."""
    server.start()
    name = f"nodes_{next(_numbers)}"
    environ = {
        **SETTINGS,
        "OSTIARY_DATABASE": server.create(name),
        "OSTIARY_SECRET": secrets.token_urlsafe(32),
        "OSTIARY_ISSUER": "http://127.0.0.1:8000",
    }
    done = call("migrate", folder=folder, environ=environ)
    assert done.returncode == 0, done.stderr
    yield environ
    server.start()
    server.drop(name)


@contextlib.contextmanager
def connected(url: str) -> Iterator[httpx.Client]:
    """A client with one open connection."""
    with httpx.Client(base_url=url, timeout=PATIENCE, verify=PLAIN) as client:
        client.get("/healthz").raise_for_status()
        yield client


def me(client, tokens) -> httpx.Response:
    return client.get("/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}"})


def refresh(client, tokens) -> httpx.Response:
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    barrier = threading.Barrier(len(works))

    def run(work):
        barrier.wait(PATIENCE)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def until(condition: Callable[[], bool]) -> float:
    """Waits until the condition holds, and returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE, "timed out"
        time.sleep(0.005)
    return time.monotonic() - started


# -- rotation ----------------------------------------------------------------------------------------------------------


def test_fifty_refreshes_of_one_token_get_one_successor(nodes):
    """S02: one family and one successor, no matter which process answers."""
    person = nodes.person()
    first = person.login()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(str(client.base_url))) for client in nodes.clients * 4][:50]
        answers = at_once([lambda client=client: refresh(client, first) for client in clients])
    assert {answer.status_code for answer in answers} == {200}
    renewed = [answer.json() for answer in answers]
    assert {each["session_id"] for each in renewed} == {first["session_id"]}
    assert len({each["refresh_token"] for each in renewed}) == 1
    assert len({claims_of(each)["jti"] for each in renewed}) == len(clients)
    following = person.refresh(renewed[-1])
    assert following["refresh_token"] not in {first["refresh_token"], renewed[0]["refresh_token"]}


ROUNDS = 15
RACERS = 4


@pytest.mark.parametrize("by", ["access_token", "refresh_token"])
def test_after_logout_no_token_works_and_no_refresh_succeeds(nodes, by):
    """S05: while others refresh as fast as they can, on every process, and at any stage of a refresh."""
    person = nodes.person()
    renewed = 0
    for number in range(ROUNDS):
        tokens = person.login()
        leaver, *others = nodes.clients
        with ThreadPoolExecutor(RACERS) as pool:
            racing = [pool.submit(refresh_until_refused, client, tokens) for client in others[:RACERS]]
            time.sleep(0.003 * number)
            assert log_out(leaver, tokens, by=by).status_code == 204
            answered = time.monotonic()
            seen = [each for race in racing for each in race.result()]
        assert not any(brought for asked, brought in seen if asked > answered)
        got = [tokens, *(brought for _, brought in seen if brought)]
        for each in got:
            assert me(leaver, each).status_code == 401
        for each, client in itertools.product({each["refresh_token"] for each in got}, nodes.clients[:2]):
            assert refresh(client, {"refresh_token": each}).status_code == 401
        until(lambda got=got: all(nodes.statuses(each) == {401} for each in got[-3:]))
        renewed += len(got) - 1
    assert renewed > ROUNDS, "no refresh raced with a logout"


def refresh_until_refused(client, tokens) -> list[tuple[float, dict[str, Any] | None]]:
    """Returns when each refresh began and the tokens that it returned."""
    seen = []
    while not seen or seen[-1][1]:
        asked = time.monotonic()
        answer = refresh(client, tokens)
        assert answer.status_code in {200, 401}, answer.text
        tokens = answer.json() if answer.status_code == 200 else None
        seen.append((asked, tokens))
    return seen


def log_out(client, tokens, *, by) -> httpx.Response:
    if by == "refresh_token":
        return client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    return client.post("/auth/logout", headers={"authorization": f"Bearer {tokens['access_token']}"})


def claims_of(tokens) -> dict[str, Any]:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})


# -- revocation --------------------------------------------------------------------------------------------------------

BY_ITS_OWNER = {
    "logs out": ("POST", "/auth/logout", None),
    "ends the session": ("DELETE", "/auth/sessions/{session_id}", None),
    "signs out everywhere": ("DELETE", "/auth/sessions", None),
    "changes the password": (
        "POST",
        "/auth/password/change",
        {"current_password": "violet-anchor-drifts-73", "new_password": "amber-ladder-hums-29"},
    ),
}
BY_AN_OPERATOR = {
    "disables the account": ("users", "disable", "{email}"),
    "changes roles": ("users", "roles", "{email}", "+moderator"),
}
STAYS = {"changes the password", "changes roles"}


@pytest.mark.parametrize("what", [*BY_ITS_OWNER, *BY_AN_OPERATOR])
def test_all_processes_refuse_what_one_of_them_revokes(nodes, what, record_property):
    """I7, S09: a command counts as a process too. The delay is recorded; `bench/revocation.py` judges it."""
    person = nodes.person()
    tokens, bystander = person.login(), nodes.person().login()
    assert nodes.statuses(tokens) == {200}
    if what in BY_ITS_OWNER:
        method, path, body = BY_ITS_OWNER[what]
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        answer = person.client.request(method, path.format(**tokens), json=body, headers=headers)
        assert answer.status_code == 204, answer.text
        assert me(person.client, tokens).status_code == 401, "the process that revoked it must refuse it at once"
    else:
        done = call(*(word.format(email=person.email) for word in BY_AN_OPERATOR[what]), **commanding(nodes))
        assert done.returncode == 0, done.stderr
    record_property("seconds", until(lambda: nodes.statuses(tokens) == {401}))
    assert nodes.statuses(bystander) == {200}
    for client in nodes.clients[:2]:
        assert refresh(client, tokens).status_code == (200 if what in STAYS else 401)


def test_the_next_refresh_has_the_new_roles_on_every_process(nodes):
    person = nodes.person()
    tokens = person.login()
    done = call("users", "roles", person.email, "+moderator", **commanding(nodes))
    assert done.returncode == 0, done.stderr
    for client in nodes.clients[:2]:
        tokens = refresh(client, tokens).json()
        assert set(claims_of(tokens)["roles"]) == {"user", "moderator"}
        until(lambda tokens=tokens: nodes.statuses(tokens) == {200})


def commanding(nodes) -> dict[str, Any]:
    return {"folder": nodes.folder, "environ": nodes.environ}


# -- without the feed --------------------------------------------------------------------------------------------------


class Embedding(Served):
    """An application with Ostiary embedded. Its route uses no database, so its answer depends on the feed alone."""

    command = (sys.executable, "-m", "granian", "--interface", "asgi", "service:app")
    ready_path = "/.well-known/jwks.json"

    def __init__(self, folder, **options) -> None:
        (folder / "service.py").write_text(SERVICE)
        super().__init__(folder, **options)


SERVICE = """
from typing import Annotated

from fastapi import Depends, FastAPI
from ostiary import Ostiary, Principal
from ostiary.integrations.fastapi import Guard

auth = Ostiary()
guard = Guard(auth)
app = FastAPI()
app.add_middleware(auth.middleware)

@app.get("/profile")
async def profile(me: Annotated[Principal, Depends(guard())]) -> str:
    return me.account_id
"""


def test_without_the_feed_tokens_get_503_or_are_served_according_to_the_policy(postgres_server, tmp_path):
    """Without the feed, a process cannot tell what was revoked. It then answers 503 and lets no request in. It never
    answers 401, which would sign people out. With the policy ``serve`` it continues to serve."""
    with contextlib.ExitStack() as stack:
        environ = {**stack.enter_context(on_postgres(postgres_server, tmp_path)), "OSTIARY_REVOCATIONS_STALENESS": "1"}
        serves = {**environ, "OSTIARY_REVOCATIONS_POLICY": "serve"}
        one, other = (stack.enter_context(Served(tmp_path, environ=environ)) for _ in range(2))
        refusing, serving = (stack.enter_context(Embedding(tmp_path, environ=each)) for each in (environ, serves))
        paths = {one: "/auth/me", other: "/auth/me", refusing: "/profile", serving: "/profile"}
        asking = [(stack.enter_context(server.ready().client()), path) for server, path in paths.items()]
        issuer, *_ = clients = [client for client, _ in asking]
        tokens = Caller(issuer, "ada@example.com").register().login()

        def statuses() -> list[int]:
            headers = {"authorization": f"Bearer {tokens['access_token']}"}
            return [client.get(path, headers=headers).status_code for client, path in asking]

        assert statuses() == [200, 200, 200, 200]
        postgres_server.stop()
        assert set(turns(statuses, to=[503, 503, 503, 200])) <= {200, 503}
        for _ in range(20):
            time.sleep(0.05)
            assert statuses() == [503, 503, 503, 200]
        assert [refresh(client, tokens).status_code for client in clients] == [503] * 4, "nothing may be signed either"

        postgres_server.start()
        assert set(turns(statuses, to=[200, 200, 200, 200])) <= {200, 503}
        tokens = until_answered(clients[1], tokens)
        assert log_out(issuer, tokens, by="access_token").status_code == 204
        assert set(turns(statuses, to=[401, 401, 401, 401])) <= {200, 401}


def turns(statuses: Callable[[], list[int]], *, to: list[int]) -> list[int]:
    """Waits until the statuses are ``to``, and returns every status seen until then."""
    seen = []
    until(lambda: seen.append(statuses()) or seen[-1] == to)
    return [status for each in seen for status in each]


def until_answered(client, tokens) -> dict[str, Any]:
    """Retries on 503: the feed may recover before all other database connections do."""
    answers = []
    until(lambda: answers.append(refresh(client, tokens)) or answers[-1].status_code != 503)
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1].json()


# -- a process dies ----------------------------------------------------------------------------------------------------

PEOPLE = 8
GLANCE, SETTLING = 0.03, 0.5
"""Seconds. After the second of them, every request that does not wait for the frozen process has its answer."""


class Insistent:
    """Refreshes in a loop. If no answer arrives, it retries with the token that it has."""

    def __init__(self, url: str, number: int) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE, verify=PLAIN) as client:
            self.tokens = Caller(client, f"insistent{number}@example.com").register().login()
        self._url = url
        self.refused: str | None = None
        self.answered = self.unanswered = 0

    @property
    def token_hash(self) -> bytes:
        return hashlib.sha256(self.tokens["refresh_token"].encode()).digest()

    def run(self, enough: threading.Event) -> None:
        while not enough.is_set() and not self.refused:
            with httpx.Client(base_url=self._url, timeout=PATIENCE, verify=PLAIN) as client:
                self._refresh_while_it_lasts(client, enough)

    def _refresh_while_it_lasts(self, client: httpx.Client, enough: threading.Event) -> None:
        while not enough.is_set() and not self.refused:
            try:
                answer = refresh(client, self.tokens)
            except httpx.TransportError:
                self.unanswered += 1
                return
            if answer.status_code == 200:
                self.tokens = answer.json()
                self.answered += 1
            else:
                self.refused = answer.text


def test_killing_a_worker_signs_nobody_out(tmp_path):
    """The answer to a committed rotation is lost with the process. A retry gets it from another process."""
    enough = threading.Event()
    patient = {"OSTIARY_TOKENS_REFRESH_GRACE": "60"}  # the machine may be busy
    with Served(tmp_path, "--workers", 2, environ={**SETTINGS, **patient}) as server:
        server.ready()
        people = [Insistent(server.url, number) for number in range(PEOPLE)]
        with ThreadPoolExecutor(PEOPLE) as pool, contextlib.closing(sqlite3.connect(tmp_path / "ostiary.db")) as rows:
            running = [pool.submit(person.run, enough) for person in people]
            try:
                until(lambda: all(person.answered for person in people))
                worker = max(server.workers, key=sockets)
                until(lambda: is_frozen_with_an_answer_owed(worker, people, rows))
                os.kill(worker, signal.SIGKILL)
                until(lambda: repeated(rows) > 0)
                until(lambda: len({*server.workers} - {worker}) == 2)
            finally:
                enough.set()
            for each in running:
                each.result()
        assert [person.refused for person in people] == [None] * PEOPLE
        assert sum(person.unanswered for person in people) > 0
        with httpx.Client(base_url=server.url, timeout=PATIENCE, verify=PLAIN) as client:
            assert {refresh(client, person.tokens).status_code for person in people} == {200}


def is_frozen_with_an_answer_owed(worker: int, people: Sequence[Insistent], rows: sqlite3.Connection) -> bool:
    """Stops the worker. Resumes it unless a caller is waiting for the answer to a rotation that it has committed."""
    os.kill(worker, signal.SIGSTOP)
    held = {person: person.token_hash for person in people}
    for patience in (GLANCE, SETTLING):
        time.sleep(patience)
        waiting = [token_hash for person, token_hash in held.items() if person.token_hash == token_hash]
        if not any(is_spent(rows, token_hash) for token_hash in waiting):
            os.kill(worker, signal.SIGCONT)
            return False
    return True


def is_spent(rows: sqlite3.Connection, token_hash: bytes) -> bool:
    return rows.execute("select 1 from spent_refresh_tokens where hash = ?", [token_hash]).fetchone() == (1,)


def repeated(rows: sqlite3.Connection) -> int:
    """How often a caller sent a spent token again and got its successor."""
    (count,) = rows.execute("select count(*) from audit_events where type = 'tokens.refresh_repeated'").fetchone()
    return count
