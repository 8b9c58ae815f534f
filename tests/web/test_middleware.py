"""Ostiary inside another app: it owns its paths, starts before the app and stops after it."""

import asyncio
import contextlib
import gc

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.web import Embedded
from ostiary.web import opening as opening_module
from tests.logged import written
from tests.web.toy import ISSUER, World

PASSWORD = "hunter2"

PATIENCE = 20.0
"""The time limit for each step, in seconds. The machine may be busy."""


class Host:
    """An embedding that records what happens."""

    def __init__(self, app=None, *, fails=(), alone=False):
        self.is_open = False
        self.events = []
        self.opening = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.failures = list(fails)
        self.world = World(alone=alone)
        self.app = Embedded(
            self.world.app if alone else app or plain,
            self.world.app,
            open=self.open,
            close=self.close,
            is_open=lambda: self.is_open,
        )

    async def open(self):
        self.events.append("open")
        self.opening.set()
        await asyncio.sleep(0)
        await self.go_on.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.is_open = True

    async def close(self):
        self.is_open = False
        self.events.append("close")

    def client(self):
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ISSUER)

    async def get(self, path):
        async with self.client() as client:
            return await client.get(path)


async def plain(scope, receive, send):
    """An app without a lifespan, like many apps."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"theirs")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class Server:
    """The server's side of the lifespan protocol."""

    def __init__(self, app, *, on_send=lambda _message: None):
        self.sent = []
        self._on_send = on_send
        self._to_app = asyncio.Queue()
        self._answered = asyncio.Queue()
        self.task = asyncio.create_task(app({"type": "lifespan", "state": {}}, self._to_app.get, self._send))

    async def _send(self, message):
        self.sent.append(message)
        self._on_send(message)
        self._answered.put_nowait(message)

    def ask(self, what):
        self._to_app.put_nowait({"type": f"lifespan.{what}"})

    async def tell(self, what):
        self.ask(what)
        return await asyncio.wait_for(self._answered.get(), PATIENCE)

    async def end(self):
        await asyncio.wait_for(self.task, PATIENCE)


async def run_through(app):
    server = Server(app)
    await server.tell("startup")
    await server.tell("shutdown")
    await server.end()
    return [message["type"] for message in server.sent]


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/auth/open", "/auth/nothing", "/auth", "/.well-known/jwks.json"])
async def test_ostiary_serves_its_own_paths(path):
    assert "x-app" not in (await Host().get(path)).headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/authors",
        "/authentication/open",
        "/auth.json",
        "/Auth/open",
        "/api/auth/open",
        "/.well-known/security.txt",
        "/.well-known/jwks.json/",
        "/healthz",
        "/readyz",
    ],
)
async def test_the_app_serves_every_other_path(path):
    answer = await Host().get(path)
    assert (answer.headers["x-app"], answer.text) == ("theirs", path)


async def test_host_headers_do_not_change_who_serves_a_path():
    host = Host()
    async with host.client() as client:
        for name in ("host", "x-forwarded-host", "x-original-url", "x-forwarded-uri", "x-rewrite-url"):
            assert (await client.get("/app", headers={name: "/auth/open"})).headers["x-app"] == "theirs"
            assert "x-app" not in (await client.get("/auth/open", headers={name: "evil.example/app"})).headers


async def test_the_app_gets_the_request_unchanged():
    async def echo(scope, receive, send):
        body = await Request(scope, receive).body()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body + scope["query_string"]})

    async with Host(echo).client() as client:
        assert (await client.post("/x?a=b", content=b"body ")).text == "body a=b"


async def test_inside_a_mounted_app_paths_are_relative_to_the_mount():
    host = Host()

    def wrapped(_app):
        return host.app

    inner = Starlette(routes=[], middleware=[Middleware(wrapped)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=[Mount("/sub", inner)])), base_url=ISSUER
    ) as client:
        assert (await client.get("/sub/auth/open")).json()["path"] == {}
        assert (await client.get("/sub/other")).headers["x-app"] == "theirs"


async def test_standalone_ostiary_serves_every_path():
    host = Host(alone=True)
    assert (await host.get("/healthz")).json() == {"status": "alive"}
    assert (await host.get("/elsewhere")).json()["code"] == "not_found"
    assert await run_through(host.app) == COMPLETE


async def websocket(app, path):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": path, "root_path": "", "headers": [], "subprotocols": []}
    await app(scope, receive, send)
    return sent


async def test_websockets_go_to_the_app_and_are_refused_on_our_paths():
    async def accept(socket):
        await socket.accept()

    host = Host(Starlette(routes=[WebSocketRoute("/live", accept)]))
    assert (await websocket(host.app, "/live"))[0]["type"] == "websocket.accept"
    assert await websocket(host.app, "/auth/open") == [{"type": "websocket.close", "code": 1008}]


async def test_other_scope_types_go_to_the_app():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    await Host(app).app({"type": "something.new"}, None, None)
    assert seen == ["something.new"]


# --- lifespan -----------------------------------------------------------------------------------------------------


async def test_we_open_before_the_app_starts_and_close_after_it_has_stopped():
    @contextlib.asynccontextmanager
    async def lifespan(_app):
        host.events.append("app starts")
        yield {"theirs": 1}
        host.events.append("app stops")

    host = Host(Starlette(lifespan=lifespan))
    assert await run_through(host.app) == COMPLETE
    assert host.events == ["open", "app starts", "app stops", "close"]


@pytest.mark.parametrize("app", [plain, Starlette()])
async def test_the_shutdown_is_complete_only_after_we_have_closed(app):
    host = Host(app)
    server = Server(host.app, on_send=lambda message: host.events.append(message["type"]))
    await server.tell("startup")
    await server.tell("shutdown")
    await server.end()
    assert host.events == ["open", "lifespan.startup.complete", "close", "lifespan.shutdown.complete"]


async def returns_at_once(scope, receive, send):
    return


async def raises_at_once(scope, receive, send):
    raise NotImplementedError("only http")


async def raises_after_asking(scope, receive, send):
    await receive()
    raise ValueError("what is lifespan.startup?")


async def completes_and_leaves(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def stops_without_a_word(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()


@pytest.mark.parametrize(
    "app", [plain, returns_at_once, raises_at_once, raises_after_asking, completes_and_leaves, stops_without_a_word]
)
async def test_an_app_with_a_partial_lifespan_or_none_is_served(app):
    host = Host(app)
    assert await run_through(host.app) == COMPLETE
    assert host.events == ["open", "close"]


async def test_if_opening_fails_the_server_gets_one_line_and_the_app_never_starts():
    host = Host(raises_at_once, fails=[ConfigurationError("OSTIARY_SECRET is\nmissing")])
    server = Server(host.app)
    assert await server.tell("startup") == {"type": "lifespan.startup.failed", "message": "OSTIARY_SECRET is missing"}
    await server.end()
    assert host.events == ["open"]


async def test_the_message_of_an_unexpected_opening_error_is_not_sent_or_logged(caplog):
    host = Host(fails=[OSError(f"cannot connect to postgresql://me:{PASSWORD}@db")])
    server = Server(host.app)
    message = (await server.tell("startup"))["message"]
    await server.end()
    assert message == "Ostiary cannot start: builtins.OSError"
    (record,) = caplog.records
    assert record.getMessage() == "opening.failed"
    assert "in open" in record.reason
    assert PASSWORD not in written(caplog) + record.reason + message


async def test_if_the_app_fails_to_start_we_close():
    @contextlib.asynccontextmanager
    async def lifespan(_app):
        raise RuntimeError("their database is away")
        yield

    host = Host(Starlette(lifespan=lifespan))
    server = Server(host.app)
    assert (await server.tell("startup"))["type"] == "lifespan.startup.failed"
    with pytest.raises(RuntimeError, match="their database is away"):
        await server.end()
    assert host.events == ["open", "close"]
    assert len(server.sent) == 1


async def test_if_the_app_fails_to_stop_we_close_and_the_server_gets_its_error():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise RuntimeError("their last words")

    host = Host(app)
    server = Server(host.app)
    await server.tell("startup")
    server.ask("shutdown")
    with pytest.raises(RuntimeError, match="their last words"):
        await server.end()
    assert host.events == ["open", "close"]


async def test_an_app_whose_lifespan_fails_while_running_does_not_stop_us():
    gone = asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await gone.wait()
            raise RuntimeError("a background task of theirs")
        await plain(scope, receive, send)

    host = Host(app)
    server = Server(host.app)
    await server.tell("startup")
    gone.set()
    assert (await host.get("/auth/open")).status_code == 200
    assert host.events == ["open"]
    await server.tell("shutdown")
    await server.end()
    assert host.events == ["open", "close"]


async def test_a_second_lifespan_opens_again():
    host = Host()
    assert await run_through(host.app) + await run_through(host.app) == COMPLETE * 2
    assert host.events == ["open", "close", "open", "close"]


async def test_a_cancelled_lifespan_still_closes_us():
    host = Host()
    server = Server(host.app)
    await server.tell("startup")
    server.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server.end()
    assert host.events == ["open", "close"]


# --- without a lifespan -------------------------------------------------------------------------------------------


async def test_without_a_lifespan_the_first_request_opens_once_for_all():
    host = Host()
    answers = await asyncio.gather(*[host.get("/auth/open") for _ in range(20)], *[host.get("/app") for _ in range(20)])
    assert {answer.status_code for answer in answers} == {200}
    assert host.events == ["open"]


async def test_while_opening_fails_only_our_paths_are_unavailable(caplog):
    host = Host(fails=[StoreUnavailable("no route to 10.0.0.7")])
    ours, theirs, again = await host.get("/auth/open"), await host.get("/app"), await host.get("/auth/open")
    assert (ours.status_code, ours.json()["code"], ours.headers["retry-after"]) == (503, "unavailable", "1")
    assert ours.headers["x-request-id"]
    assert theirs.headers["x-app"] == "theirs"
    assert again.status_code == 503
    assert host.events == ["open"]  # the last request came too soon for another attempt
    assert "10.0.0.7" not in ours.text
    assert [record.reason for record in caplog.records if record.getMessage() == "opening.failed"] == [
        "no route to 10.0.0.7"
    ]


async def test_a_later_request_tries_to_open_again(monkeypatch):
    monkeypatch.setattr(opening_module, "_PAUSE", 0.0)
    host = Host(fails=[StoreUnavailable("away")])
    assert (await host.get("/auth/open")).status_code == 503
    assert (await host.get("/auth/open")).status_code == 200
    assert host.events == ["open", "open"]


async def test_the_apps_paths_wait_for_the_first_attempt_to_open():
    """The app's guards need Ostiary to be open."""
    host = Host()
    host.go_on.clear()
    theirs = asyncio.create_task(host.get("/app"))
    await host.opening.wait()
    assert await has_no_answer(theirs)
    host.go_on.set()
    assert (await theirs).headers["x-app"] == "theirs"


async def test_after_a_failure_only_our_paths_wait_for_the_next_attempt(monkeypatch):
    """A database that does not answer must not hold up the app's own routes."""
    monkeypatch.setattr(opening_module, "_PAUSE", 0.0)
    host = Host(fails=[StoreUnavailable("away")])
    assert (await host.get("/app")).headers["x-app"] == "theirs"
    host.go_on.clear()
    ours = asyncio.create_task(host.get("/auth/open"))
    for _ in range(3):
        assert (await asyncio.wait_for(host.get("/app"), 1)).headers["x-app"] == "theirs"
    assert await has_no_answer(ours)
    host.go_on.set()
    assert (await ours).status_code == 200
    assert host.events == ["open", "open"]


async def test_requests_for_the_app_start_new_attempts_in_the_background(monkeypatch, caplog):
    monkeypatch.setattr(opening_module, "_PAUSE", 0.0)
    host = Host(fails=[OSError(PASSWORD), OSError(PASSWORD)])
    for _ in range(3):
        assert (await host.get("/app")).headers["x-app"] == "theirs"
        await settled()
    assert (await host.get("/auth/open")).status_code == 200
    assert host.events == ["open"] * 3
    gc.collect()  # asyncio logs an error that was never retrieved when its task is collected
    assert {record.name for record in caplog.records} == {"ostiary.web"}
    assert PASSWORD not in written(caplog)


async def settled():
    """Lets everything run that does not wait for an outside event."""
    for _ in range(20):
        await asyncio.sleep(0)


async def has_no_answer(task):
    await settled()
    return not task.done()


async def test_a_cancelled_caller_does_not_stop_the_opening():
    host = Host()
    first = asyncio.create_task(host.get("/auth/open"))
    await host.opening.wait()
    first.cancel()
    assert (await host.get("/auth/open")).status_code == 200
    assert host.events == ["open"]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_websockets_on_our_paths_are_refused_while_we_cannot_open():
    host = Host(fails=[StoreUnavailable("away")])
    assert await websocket(host.app, "/auth/open") == [{"type": "websocket.close", "code": 1008}]


async def test_it_works_as_a_starlette_middleware():
    world = World(alone=False)

    async def nothing():
        return

    app = Starlette(
        routes=[Route("/app", lambda _request: PlainTextResponse("theirs"))],
        middleware=[Middleware(Embedded, served=world.app, open=nothing, close=nothing, is_open=lambda: True)],
    )
    async with world.client(app=app) as client:
        assert (await client.get("/app")).text == "theirs"
        assert (await client.get("/auth/open")).json()["source"] == "203.0.113.9"


async def test_closing_while_it_opens_closes_what_was_opened():
    events, go_on = [], asyncio.Event()

    async def open_slowly():
        await go_on.wait()
        events.append("open")

    async def close():
        events.append("close")

    opening = opening_module.Opening(open_slowly, close, is_open=lambda: False)
    opening.begin()
    closing = asyncio.create_task(opening.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert events == ["open", "close"]
