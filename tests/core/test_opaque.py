"""Opaque tokens: their form, and that nothing else is accepted as one."""

import binascii
import hashlib
import re

import pytest

from ostiary.core.entropy import SystemRandom
from ostiary.core.opaque import Purpose, fingerprint, new_token

TOKEN = new_token(Purpose.REFRESH, SystemRandom()).text


@pytest.mark.parametrize("purpose", Purpose)
def test_a_token_has_a_recognisable_form_and_256_bits_from_the_given_source(purpose):
    class Counting:
        def token(self, size):
            return bytes(range(size))

    token = new_token(purpose, Counting()).text
    secret = bytes(range(32)).hex()
    assert token == f"ostiary_{purpose}_{secret}{binascii.crc32(f'{purpose}_{secret}'.encode()):08x}"


def test_the_stored_value_is_a_hash_of_the_whole_token():
    assert fingerprint(TOKEN, Purpose.REFRESH) == hashlib.sha256(TOKEN.encode()).digest()


def test_tokens_are_unique():
    assert len({new_token(Purpose.VERIFY, SystemRandom()).text for _ in range(1000)}) == 1000


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.REFRESH])
def test_a_token_for_one_purpose_is_malformed_for_every_other(purpose):
    """J23, B10: this includes a token with a changed purpose in its text, because the checksum covers it."""
    assert fingerprint(TOKEN, purpose) is None
    assert fingerprint(TOKEN.replace("refresh", str(purpose)), purpose) is None


WRONG = {
    "empty": "",
    "truncated": TOKEN[:-1],
    "cut in half": TOKEN[: len(TOKEN) // 2],
    "without its checksum": TOKEN[:-8],
    "extended": TOKEN + "0",
    "with a line break": TOKEN + "\n",
    "with a space before": " " + TOKEN,
    "with a NUL": TOKEN + "\0",
    "upper case": TOKEN.upper(),
    "upper case secret": re.sub(r"[0-9a-f]{72}", lambda found: found[0].upper(), TOKEN),
    "prefix in another case": TOKEN.replace("ostiary", "Ostiary"),
    "full-width digits": TOKEN.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    "doubled": TOKEN + TOKEN,
    "huge": "ostiary_refresh_" + "0" * 1_000_000,
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
def test_malformed_tokens_are_refused_without_a_database_query(token):
    """S06, CVE-2026-27840: truncated, extended, in another letter case."""
    assert fingerprint(token, Purpose.REFRESH) is None


def test_the_checksum_detects_one_changed_digit():
    start = len("ostiary_refresh_")
    for place in range(start, len(TOKEN)):
        other = "0" if TOKEN[place] != "0" else "1"
        assert fingerprint(TOKEN[:place] + other + TOKEN[place + 1 :], Purpose.REFRESH) is None
