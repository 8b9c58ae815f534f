"""GET /.well-known/jwks.json: its public keys, caching and conditional requests."""

import json

import pytest

from ostiary.core.plug import Actor
from ostiary.core.tokens.keys import service
from ostiary.core.tokens.keys.model import JWKS_MAX_AGE
from ostiary.jose import KeySet
from ostiary.settings import KeySettings
from ostiary.store.feed import Follower
from tests.core.tokens.key_life import nodes

JWKS = "/.well-known/jwks.json"


async def test_the_jwks_has_public_keys_with_kids_and_can_be_cached_for_five_minutes(sqlite_url):
    async with nodes(sqlite_url, KeySettings(algorithm="RS256")) as [house]:
        await service.rotate(house.ambient, Actor.operator("test"))
        answer = await house.ask("GET", JWKS)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == f"public, max-age={JWKS_MAX_AGE}, must-revalidate"
        assert "set-cookie" not in answer.headers
        members = [set(jwk) for jwk in answer.json()["keys"]]
        assert members == [{"kty", "n", "e", "kid", "alg", "use"}] * 2
        assert len(KeySet.from_jwks(answer.json())) == 2


async def test_a_client_with_the_current_version_gets_304_until_the_keys_change(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        tag = (await house.ask("GET", JWKS)).headers["etag"]
        same = await house.ask("GET", JWKS, headers={"if-none-match": tag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert same.headers["cache-control"].startswith("public, max-age=")
        assert "content-length" not in same.headers
        await service.rotate(house.ambient, Actor.operator("test"))
        changed = await house.ask("GET", JWKS, headers={"if-none-match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    ("sent", "has_it"),
    [
        ("{tag}", True),
        ("W/{tag}", True),
        ('"other", {tag}', True),
        ('"a,b", W/"c" ,{tag}', True),
        ("*", True),
        (" * ", True),
        ("{bare}", False),
        ('"x{bare}"', False),
        ('"{bare}', False),
        ("", False),
        ('"', False),
        ('"*"', False),
        ("'{bare}'", False),
        ('"\xff\x00"', False),
    ],
)
async def test_if_none_match_is_read_as_in_rfc_9110(sqlite_url, sent, has_it):
    async with nodes(sqlite_url) as [house]:
        tag = (await house.ask("GET", JWKS)).headers["etag"]
        condition = sent.format(tag=tag, bare=tag.strip('"')).encode("latin-1")
        answer = await house.ask("GET", JWKS, headers={"if-none-match": condition})
        assert answer.status_code == (304 if has_it else 200)


async def test_two_nodes_return_the_same_etag(sqlite_url):
    """Otherwise conditional requests behind a load balancer would always fail."""
    async with nodes(sqlite_url, count=2) as houses:
        assert len({(await house.ask("GET", JWKS)).headers["etag"] for house in houses}) == 1


async def test_a_process_that_cannot_know_revocations_publishes_no_keys(sqlite_url, monkeypatch):
    async with nodes(sqlite_url) as [house]:
        monkeypatch.setattr(Follower, "age", lambda _: 5.1)
        answer = await house.ask("GET", JWKS)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["cache-control"] == "no-store"
        assert house.ambient.keys.current.kid not in json.dumps(answer.json())
