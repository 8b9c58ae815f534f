"""What every response contains, and what no response and no log line may contain."""

import json
import logging

import pytest

from ostiary.errors import Conflict, InvalidToken, PasswordRejected, TokenExpired
from ostiary.settings import WebSettings
from ostiary.verifier import REFRESH_COOKIE
from tests.logged import written
from tests.web.toy import ISSUER, SECRET, World, access_token, route

GOOD = {"email": "a@example.com", "password": SECRET}


async def ask(method, path, *, world=None, **request):
    async with (world or World()).client() as client:
        return await client.request(method, path, **request)


EVERY_KIND = [
    ("GET", "/auth/open", {}, 200),
    ("POST", "/auth/login", {"json": GOOD}, 200),
    ("GET", "/auth/page", {}, 200),
    ("DELETE", "/auth/sessions/ses_1", {"headers": {"authorization": f"Bearer {access_token()}"}}, 204),
    ("POST", "/auth/refresh", {}, 400),
    ("POST", "/auth/login", {"json": {**GOOD, "password": "x"}}, 401),
    ("POST", "/auth/login", {"json": {**GOOD, "transport": "cookie"}}, 403),
    ("GET", "/auth/nothing", {}, 404),
    ("GET", "/nothing", {}, 404),
    ("GET", "/auth", {}, 404),
    ("PATCH", "/auth/login", {}, 405),
    ("OPTIONS", "/auth/login", {}, 405),
    ("POST", "/auth/login", {"content": b"x" * 100_000, "headers": {"content-type": "application/json"}}, 413),
    ("POST", "/auth/login", {"data": GOOD}, 415),
    ("POST", "/auth/login", {"json": {}}, 422),
    ("GET", "/auth/crash", {}, 500),
    ("GET", "/auth/misconfigured", {}, 500),
    ("GET", "/auth/lost", {}, 503),
]


@pytest.mark.parametrize(("method", "path", "request_", "status"), EVERY_KIND)
async def test_every_response_has_the_common_headers(method, path, request_, status):
    answer = await ask(method, path, **request_)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert len(answer.headers["x-request-id"]) == 24
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers
    if status == 204:
        assert "content-length" not in answer.headers
    else:
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(("method", "path", "request_", "status"), [kind for kind in EVERY_KIND if kind[3] >= 400])
async def test_every_refusal_is_a_problem_and_repeats_no_input(method, path, request_, status):
    answer = await ask(method, path, **request_)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"urn:ostiary:problem:{problem['code']}"
    assert problem["title"]
    assert SECRET not in answer.text
    assert "10.0.0.7" not in answer.text


async def test_an_http_issuer_gets_no_hsts_header():
    answer = await ask("GET", "/auth/open", world=World(issuer="http://127.0.0.1:8000"))
    assert "strict-transport-security" not in answer.headers


async def test_a_405_lists_the_allowed_methods():
    assert (await ask("PATCH", "/auth/open")).headers["allow"] == "GET, HEAD, POST"
    assert (await ask("TRACE", "/auth/sessions/x")).headers["allow"] == "DELETE"


async def body_sent(method, path):
    """The body as the server gets it. A client would hide a body that must not be there."""
    sent = []

    async def send(message):
        sent.append(message)

    await World().app({"type": "http", "method": method, "path": path, "headers": []}, None, send)
    return b"".join(message.get("body", b"") for message in sent)


async def test_head_has_the_headers_of_get_and_no_body():
    get, head = await ask("GET", "/auth/document"), await ask("HEAD", "/auth/document")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await ask("HEAD", "/auth/me")).status_code == 401
    assert await body_sent("GET", "/auth/document") == b"{}"
    assert await body_sent("HEAD", "/auth/document") == b""
    assert (await ask("HEAD", "/auth/login")).status_code == 405


@pytest.mark.parametrize(
    "path", ["/auth/open/", "//auth/open", "/auth//open", "/Auth/open", "/auth/open%00", "/auth/%2e%2e/auth/open"]
)
async def test_no_other_spelling_of_a_path_is_redirected_or_served(path):
    async with World().client() as client:
        answer = await client.get(f"{ISSUER}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/auth/document"])
async def test_public_documents_may_be_cached_if_they_say_so(path):
    public = await ask("GET", path)
    assert public.headers["cache-control"] == "public, max-age=300"
    assert public.headers["access-control-allow-origin"] == "*"
    assert public.headers["x-content-type-options"] == "nosniff"
    assert (await ask("GET", "/auth/open")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/document/mine"), ("POST", "/auth/document")])
async def test_personal_responses_and_changes_are_never_cached(method, path):
    answer = await ask(method, path, headers={"authorization": f"Bearer {access_token()}"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


async def test_well_known_paths_come_before_the_path_of_the_issuer():
    world = World(issuer=f"{ISSUER}/tenant")
    assert (await ask("GET", "/.well-known/jwks.json/tenant", world=world)).status_code == 200
    assert (await ask("GET", "/.well-known/jwks.json", world=world)).status_code == 404


async def test_a_page_may_run_only_its_own_script():
    answer = await ask("GET", "/auth/page")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'nonce-cmFuZG9tcmFuZG9tcmFu'",
        "style-src": "'nonce-cmFuZG9tcmFuZG9tcmFu'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.text == "<!doctype html><title>é</title>"


async def test_an_outage_says_when_to_retry():
    answer = await ask("GET", "/auth/lost")
    assert (answer.headers["retry-after"], answer.json()["code"]) == ("3", "unavailable")


# --- request ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["mine-1234", "x" * 64])
async def test_a_callers_request_id_is_ignored(given):
    answer = await ask("GET", "/auth/open", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] != given
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_trusted_proxys_request_id_is_used_if_it_is_harmless():
    world = World(WebSettings(trusted_proxies=("203.0.113.9",)))

    async def given(*values):
        async with world.client() as client:
            return (await client.get("/auth/open", headers=[(b"x-request-id", v) for v in values])).headers[
                "x-request-id"
            ]

    assert await given(b"0af76519-16cd.43dd") == "0af76519-16cd.43dd"
    for harmful in (b"short", b"x" * 65, b"has space in it", b"\x1b[31mredredred", b"1234567\xe9", b"1234567890\n"):
        assert len(await given(harmful)) == 24
    assert len(await given(b"first-of-two", b"second-of-two")) == 24


async def test_each_request_has_its_own_id():
    world = World()
    assert len({(await ask("GET", "/auth/open", world=world)).headers["x-request-id"] for _ in range(20)}) == 20


# --- logs ---------------------------------------------------------------------------------------------------------


async def test_a_failure_is_logged_with_its_place_and_without_its_message(caplog):
    answer = await ask("GET", "/auth/crash", headers={"authorization": f"Bearer {SECRET}"})
    (record,) = caplog.records
    text = written(caplog)
    assert record.name == "ostiary.web"
    assert record.levelno == logging.ERROR
    assert answer.headers["x-request-id"] in text
    assert "builtins.RuntimeError" in text
    assert "from builtins.KeyError" in text
    assert "toy.py" in text
    assert "in crash" in text
    assert SECRET not in text
    assert record.exc_info is None


async def test_a_refusal_is_logged_on_one_line_without_the_body(caplog):
    caplog.set_level(logging.INFO, logger="ostiary.web")
    await ask("POST", "/auth/login", json={**GOOD, "password": "not-the-password"})
    await ask("POST", "/auth/login", json={**GOOD, "\x1b[31m\r\n": 1})
    lines = written(caplog, logger="ostiary.web").splitlines()
    said, other = map(json.loads, lines)
    assert (said["event"], said["method"], said["path"]) == ("request.refused", "POST", "/login")
    assert (said["status"], said["code"]) == (401, "invalid_credentials")
    assert (said["reason"], said["detail"]) == ("invalid_credentials", "the password is wrong")
    assert (other["status"], other["reason"], other["detail"]) == (422, "invalid_body", "")
    assert all(line.isprintable() for line in lines)
    assert "not-the-password" not in written(caplog)


async def test_a_refusal_that_the_route_does_not_declare_is_sent_and_logged_as_an_error(caplog, unstated):
    """Callers cannot expect a refusal that is not in the document. A subclass with its own code is another refusal."""

    async def refuse(call):
        raise {"1": Conflict, "2": PasswordRejected, "3": TokenExpired}[call.path["n"]](("words",))

    world = World(route("PUT", "/x/{n}", refuse, errors=(InvalidToken,)))
    answers = [await ask("PUT", f"/auth/x/{number}", world=world) for number in (1, 2, 3)]
    assert [answer.json()["code"] for answer in answers] == ["conflict", "password_rejected", "invalid_token"]
    assert unstated == ["conflict", "password_rejected"]
    mistakes = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.reason for record in mistakes] == unstated
    assert {record.path for record in mistakes} == {"/x/{n}"}
    assert [record.request_id for record in mistakes] == [answer.headers["x-request-id"] for answer in answers[:2]]
    unstated.clear()


async def test_an_outage_is_logged_as_a_warning_with_its_reason(caplog):
    await ask("GET", "/auth/lost")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert (record.reason, record.detail) == ("store_unavailable", "disk full")


@pytest.mark.parametrize(("method", "path", "request_", "status"), EVERY_KIND)
async def test_no_credential_and_no_body_is_ever_logged(method, path, request_, status, caplog):
    caplog.set_level(logging.DEBUG)
    token = access_token()
    headers = {**request_.get("headers", {}), "user-agent": SECRET, "x-private": SECRET}
    headers |= {"cookie": f"{REFRESH_COOKIE}={SECRET}"} if status == 400 else {"authorization": f"Bearer {token}"}
    await ask(method, f"{path}?token={SECRET}", **{**request_, "headers": headers})
    own = written(caplog, logger="ostiary")
    assert SECRET not in own
    assert token not in own


@pytest.mark.parametrize(
    "said",
    [
        {"host": "evil.example"},
        {"x-forwarded-host": "evil.example"},
        {"forwarded": "host=evil.example;proto=javascript"},
        {"x-forwarded-proto": "javascript"},
        {"x-original-url": "/auth/crash"},
        {"x-forwarded-prefix": "/evil"},
    ],
)
async def test_no_response_depends_on_the_host_that_a_caller_sends(said):
    for path in ("/auth/openapi.json", "/auth/page", "/auth/nothing"):
        plain, told = await ask("GET", path), await ask("GET", path, headers=said)
        assert told.content == plain.content
        assert "evil" not in str(told.headers)


# --- built-in routes ----------------------------------------------------------------------------------------------


async def test_liveness_does_not_depend_on_the_database():
    world = World()
    world.database.is_away = True
    answer = await ask("GET", "/healthz", world=world)
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda world: setattr(world.database, "is_away", True), "database"),
        (lambda world: setattr(world.database, "is_full", True), "database"),
        (lambda world: setattr(world.database, "issuer", "https://other.example.com"), "issuer"),
        (lambda world: setattr(world.database, "ahead", 1_000_001), "clock"),
        (lambda world: setattr(world.database, "ahead", -1_000_001), "clock"),
        (lambda world: setattr(world, "fresh", False), "revocations"),
    ],
)
async def test_readiness_names_only_the_failing_part(change, part):
    world = World()
    assert (await ask("GET", "/readyz", world=world)).json() == {"status": "ready"}
    change(world)
    answer = await ask("GET", "/readyz", world=world)
    assert (answer.status_code, answer.json()["code"], answer.json()["part"]) == (503, "not_ready", part)
    assert answer.headers["retry-after"] == "1"
    assert "10.0.0.7" not in answer.text


async def test_when_embedded_the_probes_are_left_to_the_app():
    for path in ("/healthz", "/readyz"):
        assert (await ask("GET", path, world=World(alone=False))).status_code == 404
