"""Introspection (RFC 7662): a client learns about valid tokens for its own resources, and about no others."""

import asyncio
import base64

import httpx
import pytest
from msgspec import structs

from ostiary.core.accounts.service import set_roles
from ostiary.core.clients import service as clients
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import Actor
from ostiary.core.sessions.model import SessionOptions
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.jose import SigningKey, sign
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, Confirmation, Verifier, encode_access_token
from ostiary.verifier.access_token import decode_access_token
from tests.core.installation import ISSUER, installation, new_address, opened, ostiary, tokens_of

OPERATOR = Actor.operator("test")
ORDERS, STOCK, BILLING = (f"https://{name}.example.com" for name in ("orders", "stock", "billing"))
INACTIVE = b'{"active":false}'


class Service:
    """A client with the resources orders and stock. It asks over HTTP."""

    def __init__(self, house, made):
        self.house = house
        self.client = made.client
        self.secret = made.secret

    async def post(self, *, headers=(), **request):
        transport = httpx.ASGITransport(self.house.app, client=(new_address(), 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
            return await http.post("/auth/introspect", headers=dict(headers), **request)

    async def ask(self, token, **parameters):
        basic = base64.b64encode(f"{self.client.id}:{self.secret}".encode()).decode()
        form = {"token": token, **parameters}
        answer = await self.post(data=form, headers={"authorization": f"Basic {basic}"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        return answer

    async def is_told(self, token, **parameters):
        """Whether the token is active. If it is not, the answer must contain nothing else."""
        answer = await self.ask(token, **parameters)
        active = answer.json()["active"]
        assert active is True or answer.content == INACTIVE
        return active


async def service_of(house, name="orders", resources=(ORDERS, STOCK)):
    return Service(house, await clients.create(house.ambient, OPERATOR, name=name, resources=resources))


async def token_for(house, resource=ORDERS, email="ada@example.com"):
    person = await house.person(email)
    return person, await house.session(person, SessionOptions(resource=resource))


def altered(house, tokens, *, key=None, typ=ACCESS_TOKEN_TYPE, **claims):
    """The same token with other claims, signed with ``key`` or else with the installation's own key."""
    text = tokens.access.split(".")[1]
    token = decode_access_token(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return sign(encode_access_token(structs.replace(token, **claims)), key or house.ambient.keys.current, typ=typ)


# --- active tokens ------------------------------------------------------------------------------------------------


async def test_a_client_gets_the_claims_of_a_token_for_its_resource(database_url):
    async with installation(database_url) as house:
        service, (person, tokens) = await service_of(house), await token_for(house)
        claims = tokens.claims
        assert (await service.ask(tokens.access)).json() == {
            "active": True,
            "iss": ISSUER,
            "sub": person.id,
            "aud": ORDERS,
            "client_id": "client_first_party",
            "exp": claims["exp"],
            "iat": claims["iat"],
            "jti": claims["jti"],
            "token_type": "Bearer",
            "scope": claims["scope"],
            "sid": tokens.session_id,
            "roles": ["user"],
            "acr": claims["acr"],
            "amr": ["pwd"],
            "auth_time": claims["auth_time"],
        }


async def test_a_sign_in_that_names_the_resource_gives_a_token_that_is_active_for_its_client(sqlite_url):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        await house.person()
        tokens = tokens_of(await house.login(resource=STOCK))
        assert (await service.ask(tokens.access)).json()["aud"] == STOCK


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", "x" * 1000])
async def test_the_token_type_hint_is_only_a_hint(sqlite_url, hint):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        assert await service.is_told(tokens.access, token_type_hint=hint)
        assert not await service.is_told(tokens.refresh, token_type_hint=hint)


async def test_l22_the_key_of_a_bound_token_is_passed_on_and_not_checked(sqlite_url):
    """RFC 9449 §6.2: the service that asks checks the proof of possession."""
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        bound = altered(house, tokens, cnf=Confirmation(jkt="0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"))
        told = (await service.ask(bound)).json()
        assert (told["active"], told["token_type"]) == (True, "DPoP")
        assert told["cnf"] == {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}


async def test_a_client_can_send_its_secret_in_the_body_and_use_json(sqlite_url):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        body = {"token": tokens.access, "client_id": service.client.id, "client_secret": service.secret}
        for request in ({"data": body}, {"json": body}):
            answer = await service.post(**request)
            assert (answer.status_code, answer.json()["active"]) == (200, True)


# --- inactive tokens and refusals ---------------------------------------------------------------------------------


async def test_o14_every_other_token_gets_the_same_empty_answer(database_url):
    """Keycloak CVE-2026-18208: neither the status nor the headers nor the body reveal the reason."""
    async with installation(database_url) as house:
        service, (person, tokens) = await service_of(house), await token_for(house)
        other_key = SigningKey.generate("ES256", kid=house.ambient.keys.current.kid)
        now = house.ambient.seconds()
        head, payload, _ = tokens.access.split(".")
        dead = {
            "of the issuer itself": (await house.session(person)).access,
            "of a foreign resource": altered(house, tokens, aud=BILLING),
            "of two resources": altered(house, tokens, aud=(ORDERS, STOCK)),
            "of a resource in another spelling": altered(house, tokens, aud=ORDERS + "/"),
            "expired": altered(house, tokens, exp=now - 60, iat=now - 120, auth_time=now - 120),
            "not yet valid": altered(house, tokens, nbf=now + 600),
            "from the future": altered(house, tokens, iat=now + 600, exp=now + 900),
            "of another issuer": altered(house, tokens, iss="https://evil.example"),
            "of another type": altered(house, tokens, typ="JWT"),
            "by another key": altered(house, tokens, key=other_key),
            "with too long a life": altered(house, tokens, exp=now + 90_000),
            "without a signature": f"{head}.{payload}.",
            "with a cut signature": tokens.access[:-2],
            "with two segments": f"{head}.{payload}",
            "unsigned": "eyJhbGciOiJub25lIn0." + payload + ".",
            "a refresh token": tokens.refresh,
            "a token of another purpose": new_token(Purpose.ATTEMPT, house.ambient.random).text,
            "the client's own secret": service.secret,
            "a session's id": tokens.session_id,
            "noise": "x",
            "spaces": "  ",
            "letters": "é" * 40,
            "a giant": "a" * 60_000,
            "one with spaces around": f" {tokens.access} ",
        }
        reference = _seen(await service.ask("nothing"))
        for why, token in dead.items():
            answer = await service.ask(token)
            assert answer.content == INACTIVE, why
            assert _seen(answer) == reference, why
        assert await service.is_told(tokens.access)


def _seen(answer):
    return answer.status_code, {name: value for name, value in answer.headers.items() if name != "x-request-id"}


async def test_a_revoked_token_is_inactive_at_once(database_url):
    async with installation(database_url) as house:
        service = await service_of(house)
        endings = {
            "logout": lambda person, tokens: house.post("/logout", {"refresh_token": tokens.refresh}),
            "everywhere": lambda person, tokens: sign_out_everywhere(house.ambient, OPERATOR, person.id),
            "disabled": lambda person, tokens: set_disabled(house.ambient, OPERATOR, person.id, disabled=True),
            "roles": lambda person, tokens: set_roles(house.ambient, OPERATOR, person.id, add={"moderator"}),
        }
        for name, end in endings.items():
            person, tokens = await token_for(house, email=f"{name}@example.com")
            assert await service.is_told(tokens.access)
            await end(person, tokens)
            assert not await service.is_told(tokens.access), name


async def test_an_expired_token_is_inactive(sqlite_url):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        house.clock.advance(tokens.claims["exp"] - house.ambient.seconds() + 29)
        assert await service.is_told(tokens.access)
        house.clock.advance(1)
        assert not await service.is_told(tokens.access)


async def test_o14_for_a_client_without_the_resource_the_token_is_inactive(sqlite_url):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        foreign = await service_of(house, "billing", (BILLING,))
        without = await service_of(house, "without", ())
        assert await service.is_told(tokens.access)
        assert not await foreign.is_told(tokens.access)
        assert not await without.is_told(tokens.access)
        assert await service.is_told(tokens.access)  # the answers to the others are not cached


async def test_o14_tokens_of_the_issuer_itself_are_inactive_for_a_client_created_under_another_issuer(sqlite_url):
    async with installation(sqlite_url, issuer="https://before.example.com") as before:
        service = await service_of(before, resources=(ORDERS, ISSUER))
    moved = ostiary(sqlite_url, before.clock, before.outbox).with_any_issuer()
    async with opened(moved, before.clock, before.outbox) as house:
        await moved.move_to_issuer(OPERATOR)
        service.house = house
        person, tokens = await token_for(house)
        assert await service.is_told(tokens.access)
        assert not await service.is_told((await house.session(person)).access)


async def test_a_token_for_a_resource_is_not_accepted_by_the_issuer(sqlite_url):
    """Introspection caches nothing that would let the token pass the audience check."""
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        assert await service.is_told(tokens.access)
        assert not await house.is_let_in(tokens.access)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic Og=="}, {"authorization": "Basic eDp4"}])
async def test_o14_only_a_client_may_ask(sqlite_url, headers):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        for token in (tokens.access, "noise"):
            answer = await service.post(data={"token": token}, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
            assert answer.headers["www-authenticate"] == 'Basic realm="ostiary"'


async def test_o14_an_access_token_does_not_authenticate_a_client(sqlite_url):
    """This is true for the introspected token and for the token of an admin."""
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        admin = await house.session(await house.person("admin@example.com", "admin"))
        for token in (tokens.access, admin.access):
            answer = await service.post(data={"token": token}, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_without_any_client_every_request_is_refused(sqlite_url):
    async with installation(sqlite_url) as house:
        _, tokens = await token_for(house)
        answer = await house.post("/introspect", {"token": tokens.access, "client_id": "x", "client_secret": "y"})
        assert answer.status_code == 401


async def test_a_deleted_client_is_refused(database_url):
    async with installation(database_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        await clients.delete(house.ambient, OPERATOR, service.client.id)
        body = {"token": tokens.access, "client_id": service.client.id, "client_secret": service.secret}
        assert (await service.post(data=body)).status_code == 401


@pytest.mark.parametrize("form", ["", "token=", "token_type_hint=access_token", "token=x&token=x", "token=%zz"])
async def test_o21_a_request_without_one_token_is_an_invalid_request(sqlite_url, form):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        basic = base64.b64encode(f"{service.client.id}:{service.secret}".encode()).decode()
        headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        answer = await service.post(content=form, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_s13_a_token_in_the_url_is_not_read(sqlite_url):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        assert (await house.get(f"/introspect?token={tokens.access}")).status_code == 405
        body = {"client_id": service.client.id, "client_secret": service.secret}
        answer = await house.post(f"/introspect?token={tokens.access}", body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_while_revocations_are_unknown_the_answer_is_503(sqlite_url, monkeypatch):
    """Neither "active" nor "inactive" would be known to be true."""
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        monkeypatch.setattr(house.ambient.revocations, "_fresh", lambda: False)
        body = {"token": tokens.access, "client_id": service.client.id, "client_secret": service.secret}
        answer = await service.post(data=body)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_introspection_and_local_verification_agree(sqlite_url):
    """Local verification uses the published keys and sends no request."""
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        verifier = Verifier(
            keys=house.ambient.keys.published, issuer=ISSUER, audience=ORDERS, clock=house.ambient.seconds
        )
        claims: AccessToken = verifier.verify(tokens.access)
        told = (await service.ask(tokens.access)).json()
        assert {name: told[name] for name in ("sub", "sid", "jti", "exp", "scope")} == {
            name: getattr(claims, name) for name in ("sub", "sid", "jti", "exp", "scope")
        }


async def test_many_requests_can_run_at_once(sqlite_url):
    async with installation(sqlite_url) as house:
        service, (_, tokens) = await service_of(house), await token_for(house)
        asked = [tokens.access if number % 2 else "noise" for number in range(50)]
        told = await asyncio.gather(*map(service.is_told, asked))
        assert told == [token != "noise" for token in asked]
