"""The log has one line for each refusal or, with the access log, for each request. It never contains a secret."""

import json
import logging

import pytest

from ostiary.settings import WebSettings
from tests.logged import written
from tests.web.test_response import GOOD, ask
from tests.web.toy import ISSUER, NOW, World, access_token

OWN = "ostiary.web"


def lines(caplog):
    return [json.loads(line) for line in written(caplog, logger=OWN).splitlines()]


async def test_without_the_access_log_only_refusals_are_logged(caplog):
    caplog.set_level(logging.INFO, logger=OWN)
    await ask("GET", "/auth/open")
    await ask("GET", "/auth/me")
    (line,) = lines(caplog)
    assert (line["event"], line["reason"]) == ("request.refused", "missing_credential")


async def test_with_the_access_log_every_request_is_exactly_one_line(caplog):
    caplog.set_level(logging.INFO, logger=OWN)
    world = World(WebSettings(access_log=True))
    served = await ask("GET", "/auth/open", world=world)
    refused = await ask("GET", "/auth/me", world=world)
    failed = await ask("GET", "/auth/crash", world=world)
    nowhere = await ask("GET", "/auth/sessions/secret-in-a-path/x", world=world)
    said = lines(caplog)
    assert [line["event"] for line in said] == [
        "request.served", "request.refused", "request.failed", "request.refused",
    ]  # fmt: skip
    answers = [served, refused, failed, nowhere]
    assert [line["request_id"] for line in said] == [answer.headers["x-request-id"] for answer in answers]
    assert (said[0]["method"], said[0]["path"], said[0]["status"]) == ("GET", "/open", 200)
    assert said[0]["milliseconds"] >= 0
    assert said[3]["path"] is None
    assert "secret-in-a-path" not in written(caplog)


@pytest.mark.parametrize(
    ("token", "reason", "detail"),
    [
        (lambda: "junk", "malformed_token", ""),
        (lambda: access_token(iat=NOW - 1000, auth_time=NOW - 1000, exp=NOW - 100), "token_expired", "exp"),
        (lambda: access_token(aud="https://other.example"), "wrong_audience", "aud"),
        (lambda: access_token(iss="https://other.example"), "wrong_issuer", "iss"),
        (lambda: access_token(iat=NOW + 1000, auth_time=NOW, exp=NOW + 1100), "claim_rejected", "iat"),
        (lambda: access_token()[:-6] + "AAAAAA", "bad_signature", ""),
    ],
    ids=["junk", "expired", "audience", "issuer", "not yet", "signature"],
)
async def test_the_log_says_why_a_token_is_refused_but_the_response_does_not(caplog, token, reason, detail):
    caplog.set_level(logging.INFO, logger=OWN)
    text = token()
    answer = await ask("GET", "/auth/me", headers={"authorization": f"Bearer {text}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    (line,) = lines(caplog)
    assert line["reason"] == reason
    assert line["detail"].startswith(detail)
    assert text not in written(caplog)
    assert reason == "malformed_token" or reason not in answer.text


async def test_the_source_is_logged(caplog):
    caplog.set_level(logging.INFO, logger=OWN)
    await ask("POST", "/auth/login", json={**GOOD, "password": "x"})
    (line,) = lines(caplog)
    assert line["source"]
    assert ISSUER not in line["source"]
