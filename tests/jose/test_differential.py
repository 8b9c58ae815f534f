"""Comparison with two other libraries: each verifies the other's tokens, and neither accepts garbage."""

import functools
import json

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError

from ostiary.errors import InvalidToken
from ostiary.jose import SigningKey, sign, strict_json, verify
from tests.jose.material import ASYMMETRIC, HMAC, key, key_set, public

# the old name is intended: tokens with it are still in use
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")

PYJWT = [*HMAC, *(alg for alg in ASYMMETRIC if not alg.startswith("ML-DSA") and alg != "Ed25519")]
JOSERFC = [*PYJWT, "Ed25519"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CLAIMS = st.dictionaries(
    TEXTS.filter(lambda name: name not in {"exp", "nbf", "iat", "aud", "iss", "sub", "jti"}),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | st.lists(TEXTS, max_size=3),
    max_size=5,
)


@functools.cache
def pyjwt_key(alg, *, private):
    """The key in the form that PyJWT accepts."""
    jwk = key(alg).to_jwk() if private or alg in HMAC else public(key(alg)).to_jwk()
    return jwt.PyJWK(jwk, algorithm=alg).key


@functools.cache
def joserfc_key(alg, *, private):
    jwk = key(alg).to_jwk() if private or alg in HMAC else public(key(alg)).to_jwk()
    return joserfc_jwk.import_key({name: value for name, value in jwk.items() if name != "alg"})


@pytest.mark.parametrize("alg", PYJWT)
@settings(max_examples=10, deadline=None)
@given(claims=CLAIMS)
def test_pyjwt_and_ostiary_verify_each_others_tokens(alg, claims):
    headers = {"kid": key(alg).kid, "typ": "at+jwt"}
    theirs = jwt.encode(claims, pyjwt_key(alg, private=True), algorithm=alg, headers=headers)
    assert strict_json.loads_object(verify(theirs, key_set(key(alg)), typ="at+jwt").payload) == claims
    ours = sign(json.dumps(claims).encode(), key(alg), typ="at+jwt")
    assert jwt.decode(ours, pyjwt_key(alg, private=False), algorithms=[alg]) == claims


@pytest.mark.parametrize("alg", JOSERFC)
@settings(max_examples=10, deadline=None)
@given(claims=CLAIMS)
def test_joserfc_and_ostiary_verify_each_others_tokens(alg, claims):
    header = {"alg": alg, "kid": key(alg).kid, "typ": "at+jwt"}
    theirs = joserfc_jwt.encode(header, claims, joserfc_key(alg, private=True), algorithms=[alg])
    assert strict_json.loads_object(verify(theirs, key_set(key(alg)), typ="at+jwt").payload) == claims
    ours = sign(json.dumps(claims).encode(), key(alg), typ="at+jwt")
    assert joserfc_jwt.decode(ours, joserfc_key(alg, private=False), algorithms=[alg]).claims == claims


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256", "PS256"])
def test_jwks_and_thumbprints_agree_with_joserfc(alg):
    theirs = joserfc_jwk.import_key(public(key(alg)).to_jwk())
    assert theirs.thumbprint() == public(key(alg)).thumbprint
    made = joserfc_jwk.generate_key(theirs.key_type, {"ES256": "P-256", "EdDSA": "Ed25519"}.get(alg, 2048))
    ours = SigningKey.from_jwk(made.as_dict(private=True), alg=alg)
    assert ours.public.thumbprint == made.thumbprint()


MUTATED = ["HS256", "ES256", "EdDSA", "RS256"]


@pytest.mark.parametrize("alg", MUTATED)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_tokens_are_refused_as_invalid_tokens(alg, data):
    """Random edits of a valid token: both libraries accept only the original."""
    good = sign(b'{"sub":"me","roles":["user"]}', key(alg), typ="at+jwt")
    text = data.draw(mutations(good))
    try:
        verified = verify(text, key_set(key(alg)), typ="at+jwt")
    except InvalidToken:
        assert text != good
    else:
        assert text == good
        assert verified.payload == b'{"sub":"me","roles":["user"]}'
        assert joserfc_jws.deserialize_compact(text, joserfc_key(alg, private=False), algorithms=[alg])


INSERTED = ["", ".", "..", "=", "A", "-", "_", "\0", "é", "\ud800", " ", "e30"]


@st.composite
def mutations(draw, good):
    text = good
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        inserted = draw(st.sampled_from(INSERTED))
        text = text[:place] + inserted + text[place + length :]
    return text


@given(st.text(max_size=60) | st.binary(max_size=60) | st.none() | st.integers())
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_as_an_invalid_token(garbage):
    with pytest.raises(InvalidToken):
        verify(garbage, key_set(key("ES256")), typ="at+jwt")


SEGMENTS = st.text("ABCDEFghij0189-_", max_size=12)


@given(st.lists(SEGMENTS, min_size=1, max_size=6).map(".".join))
@settings(max_examples=300, deadline=None)
def test_well_formed_garbage_is_refused_by_ostiary_and_joserfc(text):
    with pytest.raises(InvalidToken):
        verify(text, key_set(key("ES256")), typ="at+jwt")
    with pytest.raises((JoseError, ValueError)):
        joserfc_jws.deserialize_compact(text, joserfc_key("ES256", private=False), algorithms=["ES256"])
