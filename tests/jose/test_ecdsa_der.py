"""The DER that OpenSSL is given for a signature's two numbers, against the one that the library writes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from ostiary.jose import SigningKey
from ostiary.jose.algorithms.ecdsa import _der

SIZES = {"ES256": 32, "ES384": 48, "ES512": 66}


@pytest.mark.parametrize("size", SIZES.values())
@given(data=st.data())
def test_it_is_what_the_library_writes(size: int, data: st.DataObject) -> None:
    """For numbers of every length, whose first bit is set or not."""
    r, s = (data.draw(st.integers(0, size * 8).flatmap(lambda bits: st.integers(0, 2**bits - 1))) for _ in "rs")
    assert _der(r.to_bytes(size, "big"), s.to_bytes(size, "big")) == encode_dss_signature(r, s)


@pytest.mark.parametrize("alg", SIZES)
def test_nothing_is_no_signature(alg: str) -> None:
    """r = s = 0 verified everything in Java (CVE-2022-21449)."""
    key = SigningKey.generate(alg).public
    zero, one = bytes(SIZES[alg]), bytes(SIZES[alg] - 1) + b"\1"
    assert not any(key.matches(r + s, b"message") for r in (zero, one) for s in (zero, one))


@pytest.mark.parametrize("alg", SIZES)
def test_every_signature_of_many_verifies(alg: str) -> None:
    """Some of them have halves that begin with zeros, some with a set bit."""
    key = SigningKey.generate(alg)
    messages = [b"%d" % number for number in range(64)]
    assert all(key.public.matches(key.sign(message), message) for message in messages)
