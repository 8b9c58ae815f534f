"""One installation whose requests are measured in this process. `cost` starts it and tells it when to run a round.

It uses only what every version of Ostiary has, so that it also measures an older source folder: the public API, and
HTTP requests as ASGI messages. For each line on stdin it prints one line of JSON: the processor time of each kind of
request in microseconds, and that of one raw ES256 verification, measured between them.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, FastAPI, Request

from ostiary import Ostiary
from ostiary.integrations.fastapi import Guard
from ostiary.settings import RegistrationSettings, SessionSettings, SignInSettings

ISSUER = "https://auth.example.com"
UNLIMITED = "1000000/second"
PASSWORD = "a door for every porter"
CALLERS = 64
RAW = 200
"""Verifications of each measurement. All measurements take tens of milliseconds, in which the machine is constant."""

_JSON = (b"content-type", b"application/json")

Respond = Callable[[], Awaitable[Any]]


class Nowhere:
    """Discards the mails about new devices."""

    async def send(self, mail: Any) -> None:
        pass


class Caller:
    """A session with its own tokens."""

    def __init__(self, app: Any, tokens: dict[str, Any]) -> None:
        self._app = app
        self.access: str = tokens["access_token"]
        self.refresh_token = tokens["refresh_token"].encode()

    async def refresh(self) -> None:
        body = b'{"refresh_token":"%s"}' % self.refresh_token
        answer = await request(self._app, "POST", "/auth/refresh", body, _JSON)
        fresh = answer.partition(b'"refresh_token":"')[2].partition(b'"')[0]
        assert len(fresh) == len(self.refresh_token)
        assert fresh != self.refresh_token
        self.refresh_token = fresh

    async def post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        answer = await request(self._app, "POST", path, json.dumps(body).encode(), _JSON)
        return dict(json.loads(answer))

    async def get(self, path: str) -> bytes:
        return await request(self._app, "GET", path, b"", (b"authorization", f"Bearer {self.access}".encode()))


async def request(app: Any, method: str, path: str, body: bytes, header: tuple[bytes, bytes]) -> bytes:
    sent: list[dict[str, Any]] = []
    headers = [(b"host", b"auth.example.com"), (b"user-agent", b"curl/8.5.0"), (b"accept", b"*/*"), header]
    if body:
        headers.append((b"content-length", b"%d" % len(body)))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("192.0.2.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] in {200, 202}, sent
    return b"".join(message["body"] for message in sent[1:])


def guarded(auth: Ostiary) -> FastAPI:
    """The same route with the guard, and with a dependency that does nothing."""
    app = FastAPI()

    async def nothing(_request: Request) -> None:
        pass

    @app.get("/bare", dependencies=[Depends(nothing)])
    async def bare() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/guarded", dependencies=[Depends(Guard(auth)())])
    async def behind_guard() -> dict[str, str]:
        return {"status": "ok"}

    return app


class Measured:
    def __init__(self, auth: Ostiary, callers: list[Caller]) -> None:
        self._auth = auth
        self._callers = callers
        app = guarded(auth)
        self._guarded = [Caller(app, {"access_token": each.access, "refresh_token": ""}) for each in callers]
        key = ec.generate_private_key(ec.SECP256R1())
        self._public = key.public_key()
        self._signature = key.sign(b"x" * 400, ec.ECDSA(hashes.SHA256()))

    async def round(self, size: int) -> dict[str, float]:
        """``size``: how many requests of each kind."""
        works: dict[str, Callable[[], Awaitable[float]]] = {
            "refresh, 64 callers": lambda: self._together([each.refresh for each in self._callers], size),
            "/auth/me, 1 caller": lambda: self._together([lambda: self._callers[0].get("/auth/me")], size),
            "/auth/me, 64 callers": lambda: self._together(
                [lambda each=each: each.get("/auth/me") for each in self._callers], size
            ),
            "bare": lambda: self._together([lambda: self._guarded[0].get("/bare")], size),
            "guarded": lambda: self._together([lambda: self._guarded[0].get("/guarded")], size),
        }
        taken, raws = {}, []
        for name, work in works.items():
            gc.collect()
            raws.append(self._raw())
            taken[name] = await work()
        return {"raw": min(raws), **taken}

    async def _together(self, responders: list[Respond], size: int) -> float:
        each_does = max(1, size // len(responders))

        async def call(respond: Respond) -> None:
            for _ in range(each_does):
                await respond()

        began = time.process_time()
        await asyncio.gather(*map(call, responders))
        return (time.process_time() - began) / (each_does * len(responders)) * 1e6

    def _raw(self) -> float:
        began = time.process_time()
        for _ in range(RAW):
            self._public.verify(self._signature, b"x" * 400, ec.ECDSA(hashes.SHA256()))
        return (time.process_time() - began) / RAW * 1e6


async def main(url: str, size: int) -> None:
    # older versions do not count the refreshes of a session
    unlimited: dict[str, Any] = {"refresh_limit": UNLIMITED} if hasattr(SessionSettings(), "refresh_limit") else {}
    auth = Ostiary(
        url,
        SignInSettings(limit=UNLIMITED),
        RegistrationSettings(limit=UNLIMITED),
        SessionSettings(**unlimited),
        issuer=ISSUER,
        secret=os.urandom(32).hex(),
        mail=Nowhere(),
        environ={},
        config=None,
    )
    await auth.migrate()
    async with auth.opened():
        new = Caller(auth.asgi, {"access_token": "", "refresh_token": ""})
        callers = []
        for number in range(CALLERS):
            credentials = {"email": f"bench{number}@example.com", "password": PASSWORD}
            await request(auth.asgi, "POST", "/auth/register", json.dumps(credentials).encode(), _JSON)
            callers.append(Caller(auth.asgi, await new.post("/auth/login", credentials)))
        measured = Measured(auth, callers)
        await measured.round(size)  # warms up
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await measured.round(size)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
