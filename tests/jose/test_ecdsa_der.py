"""The DER that we write for a signature's two numbers is the same as the library's."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from ostiary.jose import SigningKey
from ostiary.jose.algorithms.ecdsa import _der

SIZES = {"ES256": 32, "ES384": 48, "ES512": 66}


@pytest.mark.parametrize("size", SIZES.values())
@given(data=st.data())
def test_the_der_is_the_same_as_the_librarys(size: int, data: st.DataObject) -> None:
    """Numbers of every length, with and without the first bit set."""
    r, s = (data.draw(st.integers(0, size * 8).flatmap(lambda bits: st.integers(0, 2**bits - 1))) for _ in "rs")
    assert _der(r.to_bytes(size, "big"), s.to_bytes(size, "big")) == encode_dss_signature(r, s)


@pytest.mark.parametrize("alg", SIZES)
def test_a_signature_of_zeros_is_refused(alg: str) -> None:
    """In Java, r = s = 0 was valid for every message (CVE-2022-21449)."""
    key = SigningKey.generate(alg).public
    zero, one = bytes(SIZES[alg]), bytes(SIZES[alg] - 1) + b"\1"
    assert not any(key.matches(r + s, b"message") for r in (zero, one) for s in (zero, one))


@pytest.mark.parametrize("alg", SIZES)
def test_many_signatures_verify(alg: str) -> None:
    """Some have halves that begin with zeros, and some have halves whose first bit is set."""
    key = SigningKey.generate(alg)
    messages = [b"%d" % number for number in range(64)]
    assert all(key.public.matches(key.sign(message), message) for message in messages)
