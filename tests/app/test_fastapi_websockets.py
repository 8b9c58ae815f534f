"""Guards on WebSocket routes: a refused handshake is never accepted, and an open WebSocket ends with its token."""

import asyncio
import base64
import json
import os
import re
import socket
import struct
import sys
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketException

from ostiary import Ostiary, Principal
from ostiary.integrations.fastapi import Guard
from ostiary.settings import WebSettings
from ostiary.testing import world
from ostiary.verifier.cookies import LOOPBACK_COOKIES
from tests.cli.program import Caller, Served
from tests.logged import written

OWN, TRUSTED, FOREIGN = "http://127.0.0.1:8000", "https://shop.example.com", "https://evil.example"


def app_of(auth):
    app, guard = FastAPI(), Guard(auth)
    app.add_middleware(auth.middleware)

    @app.websocket("/live")
    async def live(socket: WebSocket, me: Annotated[Principal, Depends(guard())]) -> None:
        await socket.accept()
        async with guard.while_valid(socket):
            await socket.send_text(me.subject)
            while True:
                await socket.send_text(await socket.receive_text())

    @app.websocket("/admins")
    async def admins(socket: WebSocket, me: Annotated[Principal, Depends(guard(role="admin"))]) -> None:
        await socket.accept()
        await auth.acting_as(me).accounts.disable(await socket.receive_text())

    @app.websocket("/anyone")
    async def anyone(socket: WebSocket, me: Annotated[Principal | None, Depends(guard(optional=True))]) -> None:
        await socket.accept()
        async with guard.while_valid(socket):
            await socket.send_text(me.subject if me else "nobody")
            await socket.receive_text()
            await socket.close()

    @app.websocket("/own-timeout")
    async def own_timeout(socket: WebSocket, _: Annotated[Principal, Depends(guard())]) -> None:
        await socket.accept()
        try:
            async with guard.while_valid(socket), asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            await socket.close(4000)

    return app


class Server:
    """What an ASGI server does with one WebSocket."""

    def __init__(self, app, path, headers=(), *, denial=True):
        self.said = asyncio.Queue()
        self.heard = asyncio.Queue()
        self.heard.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers], "subprotocols": [],
            "asgi": {"version": "3.0"}, "scheme": "ws", "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000),
            "extensions": {"websocket.http.response": {}} if denial else {},
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self.heard.get, self.said.put))

    async def next(self):
        return await asyncio.wait_for(self.said.get(), 20)

    def send(self, text):
        self.heard.put_nowait({"type": "websocket.receive", "text": text})

    async def leave(self):
        self.heard.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(asyncio.gather(self.task, return_exceptions=True), 20)

    async def refused(self):
        """The status and the problem of the response to the handshake, or the close code."""
        first = await self.next()
        if first["type"] == "websocket.close":
            await self.task
            return first["code"], first["reason"]
        assert first["type"] == "websocket.http.response.start", "it was not accepted first"
        body = await self.next()
        await self.task
        assert dict(first["headers"])[b"content-type"] == b"application/problem+json"
        return first["status"], json.loads(body["body"])["code"]


@asynccontextmanager
async def signed_in(app, auth, **options):
    async with world(auth, app) as w:
        user = await w.login_as(**options)
        yield w, user, [("authorization", user.headers["authorization"])]


def cookie_of(user):
    return ("cookie", f"{LOOPBACK_COOKIES.access}={user.headers['authorization'].removeprefix('Bearer ')}")


@pytest.mark.parametrize("denial", [True, False])
async def test_a_websocket_without_a_valid_token_is_never_accepted(denial, caplog):
    caplog.set_level("INFO", logger="ostiary.guard")
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (w, _user, bearer):
        cases = {
            "missing_credential": ("/live", [], 401),
            "invalid_token": ("/live", [("authorization", "Bearer junk")], 401),
            "forbidden": ("/admins", bearer, 403),
            "multiple_credentials": ("/live", [*bearer, *bearer], 400),
        }
        for code, (path, headers, status) in cases.items():
            found = await Server(app, path, headers, denial=denial).refused()
            assert found == (status if denial else 1008, code)
        w.clock.advance(16 * 60)
        assert (await Server(app, "/live", bearer, denial=denial).refused())[1] == "invalid_token"
    lines = [json.loads(line) for line in written(caplog, logger="ostiary.guard").splitlines()]
    assert {(line["event"], line["method"]) for line in lines} == {("guard.refused", "WEBSOCKET")}
    assert bearer[0][1].removeprefix("Bearer ") not in written(caplog)


@pytest.mark.parametrize(("denial", "expected"), [(True, 503), (False, 1013)])
async def test_a_websocket_that_cannot_be_judged_asks_to_try_again(denial, expected):
    auth = Ostiary(environ={})
    app = FastAPI()  # without the middleware nothing opens Ostiary

    @app.websocket("/live")
    async def live(socket: WebSocket, _: Annotated[Principal, Depends(Guard(auth)())]) -> None:
        await socket.accept()

    found = await Server(app, "/live", [("authorization", "Bearer x")], denial=denial).refused()
    assert found == (expected, "unavailable")


async def test_another_site_cannot_open_a_websocket_with_the_cookies_of_a_visitor():
    """Cross-site WebSocket hijacking: a handshake is a GET, and no preflight protects it."""
    auth = Ostiary(None, WebSettings(trusted_origins=(TRUSTED,)), environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (_w, user, bearer):
        cookie = cookie_of(user)
        foreign = ("origin", FOREIGN)
        for headers in (
            [], [foreign], [("origin", "null")], [("origin", "http://127.0.0.1:8001")], [("origin", OWN), foreign],
            [("sec-fetch-site", "same-origin")], [foreign, ("sec-fetch-site", "same-origin")],
        ):  # fmt: skip
            assert await Server(app, "/live", [cookie, *headers]).refused() == (403, "cross_site_request")
        own, trusted = ("origin", OWN), ("origin", TRUSTED)
        cross = ("sec-fetch-site", "cross-site")
        for headers in ([cookie, own], [cookie, trusted, cross], [cookie, own, cross], bearer, [*bearer, foreign]):
            server = Server(app, "/live", headers)
            assert (await server.next())["type"] == "websocket.accept"
            assert (await server.next())["text"].startswith("acc_")
            await server.leave()


@pytest.mark.parametrize("ending", ["expired", "logged out", "unavailable"])
async def test_an_open_websocket_ends_with_its_token(ending, monkeypatch):
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (w, user, bearer):
        server = Server(app, "/live", bearer)
        assert [(await server.next())["type"] for _ in range(2)] == ["websocket.accept", "websocket.send"]
        server.send("still here")
        assert (await server.next())["text"] == "still here"
        if ending == "expired":
            w.clock.advance(16 * 60)
        elif ending == "logged out":
            assert (await user.post("/auth/logout")).status_code == 204
        else:
            monkeypatch.setattr(auth._assembly._revocations, "_fresh", lambda: False)
        closed = await server.next()
        expected = (1013, "unavailable") if ending == "unavailable" else (1008, "invalid_token")
        assert (closed["type"], closed["code"], closed["reason"]) == ("websocket.close", *expected)
        await asyncio.wait_for(server.task, 20)


async def test_a_check_that_fails_ends_the_websocket(monkeypatch):
    """An unchecked WebSocket must not stay open."""
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (_w, _user, bearer):
        server = Server(app, "/live", bearer)
        await server.next()
        monkeypatch.setattr(auth._assembly._revocations, "_fresh", lambda: 1 / 0)
        while (closed := await server.next())["type"] != "websocket.close":
            pass
        assert closed["code"] == 1013
        await server.task


async def test_the_watch_ends_when_the_client_leaves():
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (_w, _user, bearer):
        before = len(asyncio.all_tasks())
        for _ in range(5):
            server = Server(app, "/live", bearer)
            await server.next()
            await server.leave()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) <= before


async def test_a_timeout_raised_by_the_app_is_not_swallowed():
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth) as (_w, _user, bearer):
        server = Server(app, "/own-timeout", bearer)
        assert (await server.next())["type"] == "websocket.accept"
        assert (await server.next())["code"] == 4000


async def test_a_websocket_for_anyone_admits_callers_without_a_credential_and_refuses_a_wrong_one():
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth):
        server = Server(app, "/anyone")
        assert (await server.next())["type"] == "websocket.accept"
        assert (await server.next())["text"] == "nobody"
        server.send("bye")
        assert (await server.next())["type"] == "websocket.close"
        assert (await Server(app, "/anyone", [("authorization", "Bearer junk")]).refused())[0] == 401


async def test_an_error_of_the_python_api_closes_an_open_websocket():
    auth = Ostiary(environ={})
    app = app_of(auth)
    async with signed_in(app, auth, role="admin") as (_w, _user, bearer):
        server = Server(app, "/admins", bearer)
        assert (await server.next())["type"] == "websocket.accept"
        server.send("acc_nobody")
        closed = await server.next()
        assert (closed["type"], closed["code"], closed["reason"]) == ("websocket.close", 1008, "not_found")
        await server.task


async def test_a_handler_of_the_app_refuses_the_websocket_itself():
    auth = Ostiary(environ={})
    app = app_of(auth)

    @app.exception_handler(WebSocketException)
    async def own(socket: WebSocket, error: WebSocketException) -> None:
        await socket.close(4001, f"own: {error.reason}")

    async with world(auth, app):
        assert await Server(app, "/live").refused() == (4001, "own: missing_credential")


class Service(Served):
    """A FastAPI app with WebSockets behind a real server."""

    command = (sys.executable, "-m", "granian", "--interface", "asgi", "service:app")
    ready_path = "/healthz"

    def __init__(self, folder, *, issuer):
        (folder / "service.py").write_text(SERVICE.format(issuer=issuer, own=OWN))
        super().__init__(folder)


SERVICE = """
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket

from ostiary import Principal, TokenAuthenticator, Verifier
from ostiary.integrations.fastapi import Guard

app = FastAPI()
verifier = Verifier.remote("{issuer}", audience="{issuer}", development=True)
guard = Guard(TokenAuthenticator(verifier, own_origins=["{own}"]))

@app.get("/healthz")
async def healthz() -> str:
    return "ok"

@app.websocket("/live")
async def live(socket: WebSocket, me: Annotated[Principal, Depends(guard())]) -> None:
    await socket.accept()
    async with guard.while_valid(socket):
        await socket.send_text(me.subject)
        await socket.receive_text()
"""


def handshake(url, headers):
    """The status of the response to a handshake, and the first message."""
    host, port = re.fullmatch(r"http://([^:]+):(\d+)", url).groups()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        key = base64.b64encode(os.urandom(16)).decode()
        fixed = {
            "host": f"{host}:{port}", "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": key,
            "sec-websocket-version": "13",
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in (fixed | headers).items())
        connection.sendall(f"GET /live HTTP/1.1\r\n{lines}\r\n".encode())
        stream = connection.makefile("rb")
        status = int(stream.readline().split()[1])
        while stream.readline().strip():
            pass
        if status != 101:
            return status, ""
        _, length = struct.unpack("!BB", stream.read(2))  # a short message from a server: unmasked (RFC 6455 §5.2)
        return status, stream.read(length).decode()


def test_a_real_server_refuses_the_handshake_with_the_status(tmp_path):
    with Served(tmp_path) as served, served.ready().client() as issuer:
        caller = Caller(issuer, "ada@example.com").register()
        token = caller.login()["access_token"]
        with Service(tmp_path, issuer=served.url) as service:
            service.ready()
            cookie = {"cookie": f"{LOOPBACK_COOKIES.access}={token}"}
            for headers, status in (
                ({}, 401), ({"authorization": "Bearer junk"}, 401), (cookie, 403), (cookie | {"origin": FOREIGN}, 403),
            ):  # fmt: skip
                assert handshake(service.url, headers) == (status, "")
            for headers in ({"authorization": f"Bearer {token}"}, cookie | {"origin": OWN}):
                status, first = handshake(service.url, headers)
                assert (status, first[:4]) == (101, "acc_")
