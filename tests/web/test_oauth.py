"""OAuth routes accept forms or JSON, refuse with the error object of RFC 6749 §5.2, and authenticate clients."""

import base64
import re
import urllib.parse

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary import errors
from ostiary.core.plug import Credential, Speaks
from ostiary.settings import RegistrationSettings
from ostiary.web.oauth import error_object
from tests.logged import written
from tests.web.toy import CLIENT, CLIENT_SECRET, ISSUER, SECRET, World, access_token, route, show

FORM = "application/x-www-form-urlencoded"
IN_BODY = {"client_id": CLIENT.id, "client_secret": CLIENT_SECRET}
CROSS_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}


def basic(client_id=CLIENT.id, secret=CLIENT_SECRET):
    """RFC 6749 §2.3.1: each part is encoded as in a form, then both as in HTTP Basic."""
    return plain_basic(f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(secret)}")


def plain_basic(text):
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


async def ask(path="/oauth", *, method="POST", world=None, content=None, headers=(), media=FORM, **request):
    sent = [*(headers.items() if isinstance(headers, dict) else headers)]
    if content is not None:
        request["content"] = content
        sent.append(("content-type", media))
    async with (world or World()).client() as client:
        return await client.request(method, f"/auth{path}", headers=sent, **request)


def refused(answer):
    """The status and error code of a refusal. Checks that it has the form of RFC 6749."""
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", body["error_description"])
    return answer.status_code, body["error"]


# --- bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("token=x", {}),
        ("token=x&token_type_hint=access_token&size=7", {"token_type_hint": "access_token", "size": 7}),
        ("token=a%2Bb+c%C3%A9", {"token": "a+b cé"}),
        ("%74oken=x", {}),
        ("token=x&token_type_hint=&size=", {}),
        ("token=x&resource=https%3A%2F%2Felsewhere&a=1&b=2", {}),
    ],
)
async def test_empty_and_unknown_parameters_of_a_form_are_ignored(form, fields):
    """RFC 6749 §3.2: empty parameters count as omitted, and unknown parameters are ignored."""
    answer = await ask(content=form, headers=basic())
    assert (answer.status_code, answer.json()["body"]) == (
        200, {"token": "x", "token_type_hint": None, "size": 0, **fields},
    )  # fmt: skip


@pytest.mark.parametrize("media", [FORM, f"{FORM};charset=UTF-8", f'{FORM} ; charset="utf-8"', FORM.upper()])
async def test_the_media_type_of_a_form_may_have_any_common_spelling(media):
    assert (await ask(content="token=x", headers=basic(), media=media)).status_code == 200


async def test_json_is_accepted_too():
    body = {"token": "x", "token_type_hint": None, "size": 7, "unknown": {"a": 1}}
    answer = await ask(json=body, headers=basic())
    assert (answer.status_code, answer.json()["body"]) == (200, {"token": "x", "token_type_hint": None, "size": 7})


BROKEN = [
    ("token=x&token=x", FORM),
    ("token=x&token=y", FORM),
    ("token=x&%74oken=y", FORM),
    ("token=&token=x", FORM),
    ("token=x&a=1&a=1", FORM),
    ("token", FORM),
    ("token=x&", FORM),
    ("token=%zz", FORM),
    ("token=%ff", FORM),
    (b"token=\xff", FORM),
    ("&".join(["token=x", *(f"p{number}=1" for number in range(64))]), FORM),
    ("", FORM),
    ("token=", FORM),
    ("token=x%00", FORM),
    ("token=x&size=1e1", FORM),
    ("token=x&size=9223372036854775808", FORM),
    ('{"token": "x"}', FORM),
    ("token=x", "application/json"),
    ('{"token": "x", "token": "y"}', "application/json"),
    ('{"token": 1}', "application/json"),
    ('{"token": null}', "application/json"),
    ('["x"]', "application/json"),
    ("{", "application/json"),
    ("{}", "application/json"),
]


@pytest.mark.parametrize(("content", "media"), BROKEN)
async def test_o21_an_ambiguous_or_malformed_body_is_an_invalid_request(content, media):
    assert refused(await ask(content=content, media=media, headers=basic())) == (400, "invalid_request")


async def test_o21_parameters_of_the_url_do_not_count_as_parameters_of_the_body():
    """J10: body and query are not merged. The parameter of the body is used."""
    answer = await ask("/oauth?token=y&client_id=z", content="token=x", headers=basic())
    assert answer.json()["body"]["token"] == "x"
    assert refused(await ask("/oauth?token=y", content="", headers=basic())) == (400, "invalid_request")


async def test_the_invalid_field_is_named_without_its_value():
    answer = await ask(content=f"token=x&size={SECRET}", headers=basic())
    assert answer.json()["error_description"].endswith("`size` must be `int`")
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "media", ["text/plain", "multipart/form-data; boundary=x", f"{FORM}; charset=latin-1", f"{FORM}x"]
)
async def test_other_media_types_are_refused(media):
    assert refused(await ask(content="token=x", media=media, headers=basic())) == (415, "invalid_request")


async def test_a_refused_media_type_is_answered_with_those_that_are_wanted():
    answer = await ask(content="token=x", media="text/plain", headers=basic())
    assert "application/x-www-form-urlencoded or application/json" in answer.json()["error_description"]


async def test_a_form_of_thousands_of_percent_escapes_is_refused():
    """Each escape costs processor time: 21,000 of them cost 3 ms."""
    assert refused(await ask(content="token=" + "%41" * 4097, headers=basic())) == (400, "invalid_request")
    assert (await ask(content="token=" + "%41" * 4096, headers=basic())).status_code == 200


async def test_a_form_beyond_the_limit_is_refused():
    assert refused(await ask(content=f"token={'x' * 70_000}", headers=basic())) == (413, "invalid_request")


async def test_other_routes_do_not_accept_forms():
    """Only routes that opt in accept forms, because any site can send one without a CORS preflight."""
    answer = await ask("/login", content="email=a&password=b", headers=CROSS_SITE)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_every_refusal_of_an_oauth_route_is_an_error_object():
    world = World(RegistrationSettings(limit="1/minute"))
    assert refused(await ask("/oauth", method="GET")) == (405, "invalid_request")
    assert refused(await ask("/oauth/lost", content="token=x")) == (503, "temporarily_unavailable")
    assert refused(await ask("/oauth/crash", content="token=x")) == (500, "server_error")
    assert (await ask("/oauth/open", content="token=x", world=world)).status_code == 200
    limited = await ask("/oauth/open", content="token=x", world=world)
    assert refused(limited) == (429, "temporarily_unavailable")
    assert int(limited.headers["retry-after"]) >= 1
    assert refused(await ask("/oauth/feed", method="GET", headers=basic())) == (400, "invalid_request")
    assert (await ask("/oauth", method="GET")).headers["allow"] == "POST"


async def test_a_refusal_before_opening_is_an_error_object_too():
    world, sent = World(), []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/auth/oauth", "headers": []}
    await world.app.refuse(errors.Unavailable("not open"), scope, send)
    assert sent[0]["status"] == 503
    assert b'"error":"temporarily_unavailable"' in sent[1]["body"]


EVERY = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.OstiaryError)
}


@pytest.mark.parametrize("name", EVERY)
def test_every_error_has_an_oauth_code_and_no_private_detail(name):
    kind = EVERY[name]
    error = kind(("hush",)) if kind is errors.PasswordRejected else kind("hush")
    status, headers, body = error_object(error)
    assert body["error"] in {
        "invalid_request", "invalid_client", "invalid_target", "invalid_token", "insufficient_scope", "access_denied",
        "insufficient_user_authentication", "temporarily_unavailable", "server_error",
    }  # fmt: skip
    assert status == (400 if issubclass(kind, errors.InvalidBody) else kind.status)
    if not issubclass(kind, errors.Explained):  # their detail is public
        assert "hush" not in str(body)
    assert ("www-authenticate" in dict(headers)) is (status == 401 or name == "InsufficientScope")


def test_a_description_that_rfc_6749_does_not_allow_is_left_out():
    for words in ('a "quote"', "back\\slash", "ü", "line\nbreak"):
        assert error_object(errors.InvalidBody(words)).body["error_description"] == errors.InvalidBody.title
    assert error_object(errors.InvalidBody("plain")).body["error_description"].endswith(" plain")


# --- clients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
async def test_a_client_authenticates_with_http_basic(scheme):
    headers = {"authorization": basic()["authorization"].replace("Basic", scheme)}
    assert (await ask(content="token=x", headers=headers)).json()["client"] == CLIENT.id


async def test_a_client_authenticates_in_the_body():
    assert (await ask(data={"token": "x", **IN_BODY})).json()["client"] == CLIENT.id
    assert (await ask(json={"token": "x", **IN_BODY})).json()["client"] == CLIENT.id


async def test_a_client_id_in_the_body_is_allowed_with_http_basic():
    answer = await ask(data={"token": "x", "client_id": CLIENT.id}, headers=basic())
    assert (answer.status_code, answer.json()["client"]) == (200, CLIENT.id)


async def test_a_client_authenticates_on_routes_without_a_body_too():
    answer = await ask("/oauth/feed?after=x", method="GET", headers=basic())
    assert (answer.json()["client"], answer.json()["query"]["after"]) == (CLIENT.id, "x")
    assert (await ask("/who", method="GET", headers=basic())).json() == {"kind": "client", "id": CLIENT.id}


WRONG = {
    "nothing": ({}, {}),
    "id alone": ({}, {"client_id": CLIENT.id}),
    "secret alone": ({}, {"client_secret": CLIENT_SECRET}),
    "empty secret": ({}, {**IN_BODY, "client_secret": ""}),
    "empty id": ({}, {**IN_BODY, "client_id": ""}),
    "wrong secret": ({}, {**IN_BODY, "client_secret": "x"}),
    "unknown id": ({}, {**IN_BODY, "client_id": "client_x"}),
    "basic: wrong secret": (basic(secret="x"), {}),
    "basic: unknown id": (basic("client_x"), {}),
    "basic: empty secret": (basic(secret=""), {}),
    "basic: empty id": (basic(""), {}),
    "basic: not encoded": (plain_basic(f"{CLIENT.id}:{CLIENT_SECRET}"), {}),
    "basic: broken escape": (plain_basic("client%zz:x"), {}),
    "basic: no colon": (plain_basic("client"), {}),
    "basic: no base64": ({"authorization": "Basic !!!"}, {}),
    "basic: nothing": ({"authorization": "Basic"}, {}),
    "basic: long": (plain_basic("x" * 2000), {}),
    "an access token": ({"authorization": f"Bearer {access_token()}"}, {}),
    "in another header": ({"x-client-id": CLIENT.id, "x-client-secret": "x"}, {}),
    "in a cookie": ({"cookie": f"client_id={CLIENT.id}; client_secret=x"}, {}),
}


@pytest.mark.parametrize(("headers", "form"), WRONG.values(), ids=WRONG)
async def test_o07_every_failed_client_authentication_gets_the_same_response(headers, form):
    answer = await ask(data={"token": "x", **form}, headers=headers)
    assert refused(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="ostiary"'
    assert answer.content == (await ask(data={"token": "x"})).content


async def test_o07_a_secret_in_the_url_is_not_accepted():
    query = urllib.parse.urlencode(IN_BODY)
    assert refused(await ask(f"/oauth?{query}", content="token=x")) == (401, "invalid_client")
    assert refused(await ask(f"/oauth?{query}", data={"token": "x", "client_id": CLIENT.id})) == (401, "invalid_client")


TWICE = {
    "basic and body": ([*basic().items()], {"client_secret": CLIENT_SECRET, "client_id": CLIENT.id}),
    "basic and a secret": ([*basic().items()], {"client_secret": CLIENT_SECRET}),
    "basic and another id": ([*basic().items()], {"client_id": "client_x"}),
    "two headers": ([*basic().items(), *basic().items()], {}),
    "bearer and body": ([("authorization", "Bearer x")], IN_BODY),
}


@pytest.mark.parametrize(("headers", "form"), TWICE.values(), ids=TWICE)
async def test_l9_more_than_one_method_of_client_authentication_is_refused(headers, form):
    world = World()
    answer = await ask(data={"token": "x", **form}, headers=headers, world=world)
    assert refused(answer) == (400, "invalid_request")
    assert world.clients.asked == []


async def test_o07_two_ids_in_one_body_are_an_invalid_request():
    body = urllib.parse.urlencode([("token", "x"), *IN_BODY.items(), ("client_id", "client_x")])
    assert refused(await ask(content=body)) == (400, "invalid_request")


@pytest.mark.parametrize("odd", [1, True, ["x"], [], {"a": "b"}, {}], ids=repr)
async def test_a_client_id_that_is_not_a_string_is_refused(odd):
    """JSON has values that cannot be looked up. An unauthenticated caller must not cause a 500 with one."""
    world = World()
    answer = await ask(json={"token": "x", "client_id": odd}, headers=basic(), world=world)
    assert refused(answer) == (400, "invalid_request")
    assert world.clients.asked == []


async def test_a_client_secret_that_is_not_a_string_is_refused():
    for odd in (1, True, ["x"], {"a": "b"}):
        answer = await ask(json={"token": "x", **IN_BODY, "client_secret": odd})
        assert refused(answer) == (401, "invalid_client")


async def test_a_form_that_another_site_sends_is_refused():
    """No browser has a client's secret, so a form from another site is not authenticated."""
    assert refused(await ask(content="token=x", headers=CROSS_SITE)) == (401, "invalid_client")


async def test_on_a_json_route_a_client_is_refused_with_a_problem():
    answer = await ask("/who", method="GET")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_client")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Basic realm="ostiary"'


@pytest.mark.parametrize(("headers", "form"), [({}, IN_BODY), (basic(), {})])
async def test_no_client_secret_is_logged(headers, form, caplog):
    with caplog.at_level("DEBUG"):
        await ask(data={**form, CLIENT_SECRET: "x"}, headers=headers)
        await ask(data={"token": "x", **form, "size": CLIENT_SECRET}, headers=headers)
    own = written(caplog, logger="ostiary")
    assert "invalid_body" in own
    assert CLIENT_SECRET not in own


@given(st.binary(max_size=60), st.sampled_from([FORM, "application/json"]), st.binary(max_size=60))
async def test_no_body_or_header_causes_a_server_error(body, media, authorization):
    headers = [("content-type", media), (b"authorization", b"Basic " + base64.b64encode(authorization))]
    transport = httpx.ASGITransport(World().app)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
        answer = await client.post("/auth/oauth", content=body, headers=headers)
    assert refused(answer)[0] in {400, 401}


# --- responses ----------------------------------------------------------------------------------------------------


async def test_a_signed_text_is_sent_unchanged_with_its_own_media_type():
    answer = await ask("/signed", method="GET")
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert answer.text == "aGVhZA.Ym9keQ.c2ln"


# --- programming errors -------------------------------------------------------------------------------------------


def test_a_body_that_refuses_unknown_parameters_fails_when_the_app_is_created():
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        token: str

    with pytest.raises(TypeError, match="Closed must accept unknown parameters"):
        World(route("POST", "/x", show, body=Closed, speaks=Speaks.OAUTH, credential=Credential.CLIENT))
