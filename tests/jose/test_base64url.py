"""`ostiary.jose.base64url`: exactly one encoding for each byte string."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.jose import base64url

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=200))
def test_every_byte_string_round_trips_and_is_encoded_like_the_standard_library(raw):
    assert base64url.encode(raw) == base64.urlsafe_b64encode(raw).rstrip(b"=")
    assert base64url.decode(base64url.encode(raw)) == raw


@given(st.lists(st.sampled_from([*ALPHABET, *b'+/=."\\ \n\t\0?%\x80\xff']), max_size=12).map(bytes))
def test_only_the_output_of_encoding_is_accepted(segment):
    """J14: text that can be decoded is in its only encoding."""
    try:
        raw = base64url.decode(segment)
    except ValueError:
        assert not _is_canonical(segment)
    else:
        assert base64url.encode(raw) == segment


def _is_canonical(segment):
    if len(segment) % 4 == 1 or set(segment) - set(ALPHABET):
        return False
    return base64url.encode(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))) == segment


@pytest.mark.parametrize(
    "segment",
    [
        *(b"A", b"AAAAA", b"AA==", b"AAA=", b"AAAA=", b"=", b"AB", b"AAB", b"A+AA", b"A/AA"),
        *(b" AAAA", b"AAAA ", b"AA\nAA", b"AAAA\n", b"AAAA\r\n", b"A\tAAA", b"AA AA", b"AAAA\0"),
        *(b"AA%3D%3D", b"AA?A", b"AA.A", b"AA!A", b"\xc3\x84AAA", b"\xef\xbb\xbfAAA"),
        *(b'AA"', b'AAAA"', b"AAA\\u0041", b"\\u0041\\u0041\\u0041\\u0041", b"\\/\\/AA", b'AA==","AA'),
    ],
)
def test_j14_other_encodings_are_refused(segment):
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(segment)
