"""Any payload with a valid signature. It is accepted only if the standard library reads the same valid claims."""

import math
from typing import Final

from ostiary.errors import InvalidToken
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, Expectation, JwtVerifier
from tests.fuzz import others
from tests.fuzz.known import AUDIENCE, ISSUER, LEEWAY, NOW, SECRET, VERIFIERS, claims_of, signed

_FOREIGN: Final = JwtVerifier(
    issuers={ISSUER: [SECRET]},
    audience=AUDIENCE,
    expectation=Expectation(typ=ACCESS_TOKEN_TYPE, required=("sub",)),
    clock=lambda: NOW,
)


def check(data: bytes) -> None:
    text = signed(b'{"alg":"HS256","kid":"h","typ":"at+jwt"}', data)
    claims = claims_of(VERIFIERS["h"][0], text)
    if claims is not None:
        members = others.read(data)
        assert members["iss"] == ISSUER
        assert AUDIENCE in ([members["aud"]] if isinstance(members["aud"], str) else members["aud"])
        assert type(members["exp"]) is int
        assert NOW - LEEWAY < members["exp"] <= members["iat"] + 24 * 3600
        assert members["iat"] <= NOW + LEEWAY
        assert members.get("nbf", 0) <= NOW + LEEWAY
        assert "cnf" not in members
        said = {name: getattr(claims, name) for name in AccessToken.__struct_fields__} | dict(claims.extra)
        members.pop("status", None)  # the verifier reads only a part of it
        assert others.is_same(others.plain({name: said[name] for name in members}), members)
    _check_stated(text, data)


def _check_stated(text: str, data: bytes) -> None:
    try:
        claims = _FOREIGN.verify(text)
    except InvalidToken:
        return
    members = others.read(data)
    assert members["iss"] == ISSUER
    assert (claims.exp, claims.sub) == (math.floor(members["exp"]), members["sub"])  # a fraction never extends it
    assert all(getattr(claims, name) >= members[name] for name in ("iat", "nbf") if name in members)
    assert claims.exp > NOW - LEEWAY
    assert "cnf" not in members
