"""No token works for another purpose: every kind of issued token is tried in every place that accepts tokens."""

import re

import jwt
import pytest

from ostiary.app import slices
from ostiary.core.plug import Feature
from ostiary.jose import sign
from ostiary.settings import RegistrationSettings
from ostiary.verifier import encode_access_token
from tests.core.installation import EMAIL, PASSWORD, installation
from tests.core.sign_in.test_dispatcher import RIGHT, Word

KINDS = ("access", "refresh", "attempt", "verification", "ID token", "logout token", "DPoP proof", "JWT", "no typ")
TYPES = {"ID token": "JWT", "logout token": "logout+jwt", "DPoP proof": "dpop+jwt", "JWT": "jwt"}


async def issued(house, word):
    """One token of every kind, each currently valid in its own place."""
    person = await house.person()
    word.who.add(person.id)
    tokens = await house.session(person)
    attempt = (await house.login()).json()["attempt"]
    await house.register("new@example.com")
    (verification,) = re.findall(r"#(\S+)", (await house.mails())[-1].text)
    claims = encode_access_token(house.ambient.verifier.verify(tokens.access))
    of_our_key = {name: sign(claims, house.ambient.keys.current, typ=typ) for name, typ in TYPES.items()}
    return {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "attempt": attempt,
        "verification": verification,
        **of_our_key,
        "no typ": without_typ(claims, house.ambient.keys.current),
    }


def without_typ(claims, key):
    """Made with another library, because ours always sets ``typ``."""
    private = jwt.PyJWK.from_dict(key.to_jwk()).key
    return jwt.PyJWS().encode(claims, private, "ES256", headers={"typ": None, "kid": key.kid})


PLACES = {
    "GET /me": ("access", lambda house, token: house.get("/me", token=token)),
    "GET /me by cookie": (
        "access",
        lambda house, token: house.get("/me", headers={"cookie": f"__Host-ostiary_access={token}"}),
    ),
    "POST /refresh": ("refresh", lambda house, token: house.refresh(token)),
    "POST /login/word": (
        "attempt",
        lambda house, token: house.post("/login/word", {"attempt": token, "word": RIGHT}),
    ),
    "POST /email/verify": ("verification", lambda house, token: house.post("/email/verify", {"token": token})),
}


@pytest.mark.parametrize("place", PLACES)
async def test_every_kind_of_token_is_accepted_only_in_its_own_place(sqlite_url, monkeypatch, place):
    """B10, J23, M03: one kind is accepted, and all others get 401 without any effect."""
    word = Word()
    monkeypatch.setattr(slices, "FEATURES", (Feature(name="toy", factors=(word,)),))
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        tokens = await issued(house, word)
        assert set(tokens) == set(KINDS)
        accepted, use = PLACES[place]
        counts = await rows(house)
        for kind, token in tokens.items():
            if kind != accepted:
                answer = await use(house, token)
                assert answer.status_code == 401, kind
                assert set(answer.json()) == {"type", "title", "status", "code"}
        assert await rows(house) == counts, "nothing was spent or started"
        assert (await use(house, tokens[accepted])).status_code in {200, 204}


async def rows(house):
    tables = ("sessions", "registrations", "accounts", "spent_refresh_tokens", "sign_in_attempts")
    return [(await house.rows(f"select count(*) from {table}"))[0][0] for table in tables]


async def test_no_token_works_as_a_password_or_address(sqlite_url, monkeypatch):
    word = Word()
    monkeypatch.setattr(slices, "FEATURES", (Feature(name="toy", factors=(word,)),))
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        for token in (await issued(house, word)).values():
            assert (await house.login(EMAIL, token)).status_code == 401
            assert (await house.login(token, PASSWORD)).status_code == 401
