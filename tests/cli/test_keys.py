"""`ostiary keys …` shows only public keys, and manages keys with the same code as the server."""

import json

import pytest

from ostiary.jose import VerifyingKey
from tests.cli.program import call, run


def test_the_listed_key_is_the_published_one(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    published = json.loads(run("keys", "jwks", folder=tmp_path).stdout)["keys"]
    listed = json.loads(call("keys", "list", "--json", folder=tmp_path).stdout)["keys"]
    assert [(key["kid"], key["alg"], key["state"]) for key in listed] == [(published[0]["kid"], "ES256", "current")]
    assert VerifyingKey.from_jwk(published[0]).kid == listed[0]["kid"]  # from_jwk refuses private members
    assert listed[0]["created_at"].endswith("Z")
    assert listed[0]["kid"] in call("keys", "list", folder=tmp_path).stdout


def keys(folder):
    """state → kid."""
    listed = json.loads(call("keys", "list", "--json", folder=folder).stdout)["keys"]
    return {key["state"]: key["kid"] for key in listed}


def test_rotating_publishes_the_next_key_and_says_when_it_signs(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    current = json.loads(run("keys", "jwks", folder=tmp_path).stdout)["keys"][0]["kid"]
    told = json.loads(call("keys", "rotate", "--json", folder=tmp_path).stdout)
    assert keys(tmp_path) == {"current": current, "next": told["kid"]}
    assert told["signs_from"].endswith("Z")
    again = call("keys", "rotate", folder=tmp_path)
    assert told["kid"] in again.stdout
    published = json.loads(call("keys", "jwks", folder=tmp_path).stdout)["keys"]
    assert {key["kid"] for key in published} == {current, told["kid"]}


def test_revoking_the_current_key_names_its_successor(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    current = json.loads(call("keys", "jwks", folder=tmp_path).stdout)["keys"][0]["kid"]
    told = json.loads(call("keys", "revoke", current, "--json", folder=tmp_path).stdout)
    assert told["revoked"] == [current]
    assert keys(tmp_path) == {"current": told["successor"], "revoked": current}
    published = json.loads(call("keys", "jwks", folder=tmp_path).stdout)["keys"]
    assert [key["kid"] for key in published] == [told["successor"]]


def test_revoking_all_keys_leaves_only_a_new_one(tmp_path):
    """The next and the retired keys are revoked too, because anyone with the master secret can have read them."""
    assert call("migrate", folder=tmp_path).returncode == 0
    assert call("keys", "rotate", folder=tmp_path).returncode == 0
    before = keys(tmp_path)
    told = json.loads(call("keys", "revoke", "--all", "--json", folder=tmp_path).stdout)
    assert set(told["revoked"]) == {before["current"], before["next"]}
    published = json.loads(call("keys", "jwks", folder=tmp_path).stdout)["keys"]
    assert [key["kid"] for key in published] == [told["successor"]]
    said = call("keys", "revoke", "--all", folder=tmp_path).stdout.splitlines()
    assert said == [f"revoked {told['successor']}", f"{keys(tmp_path)['current']} signs from now on"]


@pytest.mark.parametrize("mistyped", [[], ["nope", "--all"], ["--all", "nope"], ["--al"]])
def test_a_mistyped_revocation_revokes_nothing(tmp_path, mistyped):
    assert call("migrate", folder=tmp_path).returncode == 0
    before = keys(tmp_path)
    done = call("keys", "revoke", *mistyped, folder=tmp_path)
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert keys(tmp_path) == before


@pytest.mark.parametrize("kid", ["nope", "-nope", "", "\x1b[31m"])
def test_an_unknown_key_is_refused_with_one_line(tmp_path, kid):
    assert call("migrate", folder=tmp_path).returncode == 0
    done = call("keys", "revoke", kid, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no key" in done.stderr
    assert "\x1b" not in done.stderr


def test_rewrap_seals_everything_with_the_new_secret(tmp_path):
    old, new = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s", "Hq8vN2rT6wZ0bC4dF7gJ9kL1mP3sU5xY8aE2iO6qR4t"
    first = call("migrate", folder=tmp_path, environ={"OSTIARY_SECRET": old})
    assert first.returncode == 0
    assert call("keys", "list", folder=tmp_path, environ={"OSTIARY_SECRET": old}).returncode == 0
    both = {"OSTIARY_SECRET": f"{new} {old}"}
    assert json.loads(call("keys", "rewrap", "--json", folder=tmp_path, environ=both).stdout) == {
        "rewrapped": {"tokens": 1, "totp": 0}
    }
    assert "tokens: 0 sealed again" in call("keys", "rewrap", folder=tmp_path, environ=both).stdout
    assert call("keys", "jwks", folder=tmp_path, environ={"OSTIARY_SECRET": new}).returncode == 0
    refused = call("keys", "jwks", folder=tmp_path, environ={"OSTIARY_SECRET": old})
    assert refused.returncode == 2
    assert "another secret" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_the_help_of_rewrap_covers_several_servers(tmp_path):
    """If one server had the new secret first, the others could not unseal what it seals."""
    said = " ".join(call("keys", "rewrap", "--help", folder=tmp_path).stdout.split())
    assert "With several servers, first put the new secret after the old one" in said
