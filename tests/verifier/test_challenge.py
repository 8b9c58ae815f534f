"""HTTP answers: status, challenge and body of every error, without anything that the caller sent."""

import inspect
import json
import re

import pytest

from ostiary import errors
from ostiary.verifier import AAL2, challenge, problem, refusal

SECRET = 'secret detail "\r\n<script>'


def every_error():
    """An instance of each class. The private detail is the secret, and all other arguments are harmless."""
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.OstiaryError):
            parameters = inspect.signature(error).parameters.values()
            needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
            private = {"detail": SECRET} if any(parameter.name == "detail" for parameter in parameters) else {}
            harmless = {parameter.name: ("x",) if "tuple" in str(parameter.annotation) else "x" for parameter in needed}
            yield name, error(**{**harmless, **private})


EVERY = dict(every_error())


@pytest.mark.parametrize("name", EVERY)
def test_every_error_has_a_complete_answer(name):
    status, headers, body = refusal(EVERY[name])
    named = dict(headers)
    assert len(named) == len(headers)
    assert named["content-type"] == "application/problem+json"
    assert named["cache-control"] == "no-store"
    assert body["status"] == status
    assert 400 <= status < 600
    assert body["type"] == "urn:ostiary:problem:" + body["code"]
    assert {"type", "title", "status", "code"} <= set(body)


@pytest.mark.parametrize("name", EVERY)
def test_the_private_detail_is_never_sent(name):
    assert "secret" not in json.dumps(refusal(EVERY[name]))


@pytest.mark.parametrize("name", EVERY)
def test_every_401_has_a_challenge_and_other_answers_only_as_rfc_6750_says(name):
    """RFC 9110 §15.5.2, RFC 6750 §3."""
    status, headers, _ = refusal(EVERY[name])
    challenges = [value for header, value in headers if header == "www-authenticate"]
    with_one = {"InsufficientScope", "MalformedCredential", "MultipleCredentials"}
    assert (challenges != []) is (status == 401 or name in with_one)
    assert all(
        re.fullmatch(r'Basic realm="ostiary"|Bearer( error="[a-z_]+"(, [a-z_]+="[^"\\]*")*)?', value)
        for value in challenges
    )


@pytest.mark.parametrize("name", EVERY)
def test_retryable_errors_have_a_retry_after_header(name):
    status, headers, _ = refusal(EVERY[name])
    assert ("retry-after" in dict(headers)) is (status in {429, 503})


def test_e7_retry_after_is_a_whole_number_of_seconds():
    assert dict(refusal(errors.RateLimited(retry_after=17)).headers)["retry-after"] == "17"
    assert dict(refusal(errors.Busy(retry_after=0)).headers)["retry-after"] == "1"


def test_l23_without_a_credential_the_challenge_has_no_error():
    assert challenge(errors.MissingCredential()) == "Bearer"
    assert challenge(errors.InvalidCredentials()) == "Bearer"


FAMILY = [error for error in EVERY.values() if isinstance(error, errors.InvalidToken)]


@pytest.mark.parametrize("error", FAMILY, ids=lambda error: type(error).__name__)
def test_a26_all_token_errors_look_the_same_to_the_caller(error):
    assert refusal(error) == refusal(errors.InvalidToken())
    assert challenge(error) == 'Bearer error="invalid_token"'


def test_l23_insufficient_scope_names_the_scope():
    assert challenge(errors.InsufficientScope(scope="a:b c")) == 'Bearer error="insufficient_scope", scope="a:b c"'
    assert challenge(errors.InsufficientScope()) == 'Bearer error="insufficient_scope"'
    assert challenge(errors.Forbidden()) is None


def test_l25_the_step_up_challenge_says_what_is_required():
    """RFC 9470 §3."""
    both = errors.InsufficientUserAuthentication(max_age=300, acr_values=AAL2)
    assert challenge(both) == (f'Bearer error="insufficient_user_authentication", acr_values="{AAL2}", max_age="300"')
    assert challenge(errors.InsufficientUserAuthentication(max_age=0)) == (
        'Bearer error="insufficient_user_authentication", max_age="0"'
    )


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\r\nX: y", "é", "a\0", "\x7f"])
def test_o18_a_parameter_with_characters_outside_the_charset_is_omitted(text):
    assert challenge(errors.InsufficientScope(scope=text)) == 'Bearer error="insufficient_scope"'


def test_configuration_errors_are_not_revealed():
    status, _, body = refusal(errors.KeyRejected("the RSA key has 1024 bits"))
    assert (status, body["code"]) == (500, "error")


def test_public_members_are_in_the_body_and_cannot_replace_standard_members():
    assert problem(errors.PasswordRejected(("too short",)))["reasons"] == ["too short"]
    assert problem(errors.InvalidBody("`email` is missing"))["detail"] == "`email` is missing"

    class Boastful(errors.InvalidRequest):
        def public(self):
            return {"status": 200, "type": "x", "code": "ok", "hint": "h"}

    body = problem(Boastful())
    assert (body["status"], body["code"], body["hint"]) == (400, "invalid_request", "h")
