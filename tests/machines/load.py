"""Callers that use an installation while its machines change. They count what was acknowledged."""

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

import httpx

from tests.cli.program import PASSWORD, PATIENCE

SESSIONS = 12
"""Per refreshing caller. With `PAUSE`, a session is refreshed about 40 times a minute, which is within its limit."""

PAUSE = 0.12

NO_ANSWER = 0
"""In place of a status, if the connection broke."""

SETTINGS = {
    "OSTIARY_SIGN_IN_LIMIT": "1000/second",
    "OSTIARY_REGISTRATION_LIMIT": "1000/second",
    "OSTIARY_SESSIONS_LIMIT": "1000",
}

_numbers = itertools.count(1)


def until(condition: Callable[[], object], *, patience: float = PATIENCE) -> float:
    """Waits until the condition holds, and returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience, "timed out"
        time.sleep(0.05)
    return time.monotonic() - started


class Entrance(Protocol):
    """Where callers send their requests."""

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response: ...


class Fleet:
    """Servers without a load balancer: each request goes to the next one. A retired server gets no new requests."""

    def __init__(self) -> None:
        self._servers: list[str] = []
        self._turns = itertools.count()
        self._running: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._clients = httpx.Client(timeout=PATIENCE, limits=httpx.Limits(max_connections=64))

    def add(self, url: str) -> None:
        with self._changed:
            self._servers.append(url)

    def retire(self, url: str) -> None:
        """Returns when all requests to this server are answered."""
        with self._changed:
            self._servers.remove(url)
            assert self._changed.wait_for(lambda: not self._running[url], PATIENCE)

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._changed:
            url = self._servers[next(self._turns) % len(self._servers)]
            self._running[url] += 1
        try:
            return self._clients.request(method, url + path, **arguments)
        finally:
            with self._changed:
                self._running[url] -= 1
                self._changed.notify_all()

    def close(self) -> None:
        self._clients.close()


class Through:
    """One address, such as that of a load balancer."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE, limits=httpx.Limits(max_connections=64))

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._client.request(method, path, **arguments)

    def close(self) -> None:
        self._client.close()


class Session:
    """A signed-in session. ``tokens`` are those of the last acknowledged answer."""

    def __init__(self, entrance: Entrance, email: str) -> None:
        self._entrance = entrance
        self.email = email
        self.tokens: dict[str, Any] = {}

    def at(self, entrance: Entrance) -> None:
        """Sends the next requests there."""
        self._entrance = entrance

    def sign_in(self) -> httpx.Response:
        answer = self._entrance.request("POST", "/auth/login", json={"email": self.email, "password": PASSWORD})
        return self._keep(answer)

    def refresh(self) -> httpx.Response:
        token = self.tokens["refresh_token"]
        return self._keep(self._entrance.request("POST", "/auth/refresh", json={"refresh_token": token}))

    def me(self) -> httpx.Response:
        return self._entrance.request("GET", "/auth/me", headers=self._bearer())

    def log_out(self) -> httpx.Response:
        return self._entrance.request("POST", "/auth/logout", headers=self._bearer())

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens['access_token']}"}

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer


def registered(entrance: Entrance) -> str:
    """The address of a new account."""
    email = f"caller{next(_numbers)}@example.com"
    answer = entrance.request("POST", "/auth/register", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    return email


class Load:
    """Callers in threads: ``refreshing`` ones renew their sessions, one more signs in and out. All use every server.

    After the statuses in ``repeat_after``, they send the request again, as clients do during an outage. Every other
    status that a healthy installation does not answer is a complaint.
    """

    def __init__(self, entrance: Entrance, *, refreshing: int = 3, repeat_after: Collection[int] = ()) -> None:
        self._entrance = entrance
        self._repeat_after = repeat_after
        self._refreshing = refreshing
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sessions: list[Session] = []
        self.logged_out: list[Session] = []
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.slowest_revocation = 0.0
        self.longest_outage = 0.0

    def start(self) -> None:
        for _ in range(self._refreshing):
            email = registered(self._entrance)
            own = [Session(self._entrance, email) for _ in range(SESSIONS)]
            for each in own:
                assert each.sign_in().status_code == 200
            self.sessions += own
            self._begin(self._renew, own)
        # one account may begin 60 sessions an hour
        self._begin(self._come_and_go, itertools.cycle([registered(self._entrance) for _ in range(8)]))

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        try:
            self.start()
            yield self
        finally:
            self.end()

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE * 2)

    def wait(self, operation: str, more: int) -> None:
        """Waits until ``operation`` was acknowledged ``more`` times, so that every step happens under load."""
        enough, deadline = self.counts[operation] + more, time.monotonic() + PATIENCE * 2
        while self.counts[operation] < enough and not self.complaints:
            assert time.monotonic() < deadline, (operation, self.counts)
            time.sleep(0.02)

    def check(self) -> None:
        """Ends the load. Every acknowledged operation still holds, at whichever server answers."""
        self.end()
        assert not self.complaints, self.complaints[:5]
        for session in self.sessions:
            answer = session.refresh()
            assert answer.status_code == 200, answer.text
            answer = session.me()
            assert answer.status_code == 200, answer.text
        for session in self.logged_out:
            assert session.refresh().status_code == 401, "a logout was lost"

    def _begin(self, work: Callable[[Any], None], argument: Any) -> None:
        self._threads.append(threading.Thread(target=self._work, args=(work, argument), daemon=True))
        self._threads[-1].start()

    def _work(self, work: Callable[[Any], None], argument: Any) -> None:
        try:
            while not self._ending.is_set():
                work(argument)
        except Exception as error:  # noqa: BLE001 — the test reports it
            self.complaints.append(f"{work.__name__}: {error!r}")

    def _renew(self, sessions: list[Session]) -> None:
        for session in sessions:
            if self._ending.wait(PAUSE):
                return
            if self._acknowledged("refresh", session.refresh, 200):
                self._acknowledged("me", session.me, 200)

    def _come_and_go(self, emails: Iterator[str]) -> None:
        session = Session(self._entrance, next(emails))
        if not self._acknowledged("sign-in", session.sign_in, 200):
            return
        self._acknowledged("me", session.me, 200)
        if self._acknowledged("logout", session.log_out, 204):
            ended = time.monotonic()
            self.logged_out.append(session)
            self._acknowledged("refused refresh", session.refresh, 401)
            while self._acknowledged("after logout", session.me, 200, 401) == 200:
                assert time.monotonic() < ended + PATIENCE, "an access token outlived its session"
            self.slowest_revocation = max(self.slowest_revocation, time.monotonic() - ended)
        self._ending.wait(PAUSE)

    def _acknowledged(self, operation: str, ask: Callable[[], httpx.Response], *expected: int) -> int:
        """The status. 0 if the load ended before there was an answer. An answer of 401 to a logout that is sent again
        means that the first one had succeeded."""
        started, again = time.monotonic(), False
        while True:
            status, said = _answer(ask)
            if status in expected or (again and operation == "logout" and status == 401):
                self.counts[operation] += 1
                if again:
                    self.longest_outage = max(self.longest_outage, time.monotonic() - started)
                return status
            if status not in self._repeat_after:
                self.complaints.append(f"{operation}: {said}")
                return 0
            self.counts["unavailable"] += 1
            again = True
            if self._ending.wait(0.1):
                return 0


def _answer(ask: Callable[[], httpx.Response]) -> tuple[int, str]:
    """The status, or `NO_ANSWER`, and what to complain about."""
    try:
        answer = ask()
    except httpx.TransportError as error:
        return NO_ANSWER, repr(error)
    return answer.status_code, f"{answer.status_code} {answer.text}"
