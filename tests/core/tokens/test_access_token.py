"""Access tokens: their exact claims, verification by another library, and expiry with the session."""

import jwt
import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.plug import Actor
from ostiary.settings import SessionSettings, TokenSettings
from tests.core.installation import ISSUER, claims_of, installation, tokens_of

OPERATOR = Actor.operator("test")
NOW = 1_800_000_000


async def keys_of(house):
    answer = await house.ask("GET", "/.well-known/jwks.json")
    assert answer.status_code == 200
    return answer


async def test_the_claims_are_exactly_those_of_rfc_9068_and_of_the_session(database_url):
    """B7, B8, B13."""
    async with installation(database_url) as house:
        person = await house.person("ada@example.com", "moderator")
        tokens = tokens_of(await house.login())
        claims = tokens.claims
        assert claims.pop("jti")
        entry = claims.pop("status")["status_list"]
        assert entry["uri"] == f"{ISSUER}/auth/status/1"
        assert 0 <= entry["idx"] < 2**20
        assert claims == {
            "iss": ISSUER,
            "sub": person.id,
            "aud": ISSUER,
            "exp": NOW + 900,
            "iat": NOW,
            "client_id": "client_first_party",
            "sid": tokens.session_id,
            "ver": 1,
            "roles": ["moderator", "user"],
            "scope": "",
            "auth_time": NOW,
            "acr": "urn:ostiary:aal:1",
            "amr": ["pwd"],
        }
        assert person.id.startswith("acc_")
        header = jwt.get_unverified_header(tokens.access)
        assert header == {"alg": "ES256", "typ": "at+jwt", "kid": house.ambient.keys.current.kid}


async def test_another_library_verifies_the_token_with_the_published_keys(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        published = jwt.PyJWKSet.from_dict((await keys_of(house)).json())
        key = published[jwt.get_unverified_header(tokens.access)["kid"]]
        checks = {"audience": ISSUER, "issuer": ISSUER, "options": {"verify_exp": False, "verify_iat": False}}
        assert jwt.decode(tokens.access, key, algorithms=["ES256"], **checks)["sid"] == tokens.session_id
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(tokens.access[:-4] + "AAAA", key, algorithms=["ES256"], **checks)


async def test_the_published_keys_have_public_members_only(sqlite_url):
    """A20, C-2."""
    async with installation(sqlite_url) as house:
        answer = await keys_of(house)
        (key,) = answer.json()["keys"]
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["alg"], key["use"]) == ("ES256", "sig")
        assert "max-age=" in answer.headers["cache-control"]
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_every_token_has_a_unique_id(sqlite_url):
    async with installation(sqlite_url) as house:
        person = await house.person()
        tokens = [await house.session(person) for _ in range(20)]
        assert len({each.claims["jti"] for each in tokens}) == 20
        assert all(len(each.claims["jti"]) == 32 for each in tokens), "128 random bits as hexadecimal digits"


async def test_no_access_token_outlives_its_session(database_url):
    """I5, S16: the last access token of a session expires with it."""
    async with installation(database_url, SessionSettings(lifetime=1000), TokenSettings(access_lifetime=600)) as house:
        tokens = await house.session(await house.person())
        assert tokens.claims["exp"] == NOW + 600
        house.clock.advance(700)
        answer = await house.refresh(tokens.refresh)
        assert answer.json()["expires_in"] == 300
        assert claims_of(answer.json()["access_token"])["exp"] == NOW + 1000


async def test_a_refresh_changes_neither_the_time_nor_the_method_of_the_sign_in(sqlite_url):
    """B13: RFC 9068 §2.2.1."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        house.clock.advance(1000)
        renewed = tokens_of(await house.refresh(tokens.refresh)).claims
        assert renewed["iat"] == NOW + 1000
        assert renewed["jti"] != tokens.claims["jti"]
        for name in ("auth_time", "amr", "acr", "sid", "sub"):
            assert renewed[name] == tokens.claims[name]


async def test_roles_are_read_from_the_database_when_the_token_is_issued(sqlite_url):
    """B15, S09: later tokens do not have a removed role, and the next token has a granted one."""
    async with installation(sqlite_url) as house:
        await house.person("root@example.com", "admin")
        person = await house.person("ada@example.com", "admin")
        tokens = await house.session(person)
        assert "admin" in tokens.claims["roles"]
        await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"}, remove={"admin"})
        assert not await house.is_let_in(tokens.access), "at once"
        renewed = tokens_of(await house.refresh(tokens.refresh))
        assert renewed.claims["roles"] == ["moderator", "user"]
        assert renewed.claims["ver"] == tokens.claims["ver"] + 1
        me = (await house.get("/me", token=renewed.access)).json()
        assert (me["roles"], me["permissions"]) == (["moderator", "user"], ["users:read"])


async def test_the_token_expires_exactly_after_its_lifetime_plus_leeway(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        house.clock.advance(900 + 29.999)
        assert await house.is_let_in(tokens.access)
        house.clock.advance(0.001)
        assert not await house.is_let_in(tokens.access)


async def test_refusals_follow_rfc_6750_and_reveal_nothing_more(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        nothing = await house.get("/me")
        assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, "Bearer")
        wrong = {
            "a changed signature": tokens.access[:-4] + "AAAA",
            "a changed claim": ".".join([*tokens.access.split(".")[:1], "e30", tokens.access.split(".")[2]]),
            "no signature": tokens.access.rpartition(".")[0] + ".",
            "half of it": tokens.access.rpartition(".")[0],
            "a word": "nonsense",
            "a refresh token": tokens.refresh,
        }
        answers = [await house.get("/me", token=token) for token in wrong.values()]
        house.clock.advance(1000)
        answers.append(await house.get("/me", token=tokens.access))
        for answer in answers:
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert len({answer.content for answer in answers}) == 1
