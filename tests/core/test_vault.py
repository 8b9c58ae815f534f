"""Sealing: a ciphertext opens only for the same row and purpose and with a configured secret."""

import pytest

from ostiary.core.entropy import SystemRandom
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError

FIRST, SECOND = b"1" * 43, b"2" * 43
PLAIN = b"the private part of a key"


def vault(*secrets):
    return Vault(secrets, random=SystemRandom())


def sealed(*secrets):
    return vault(*secrets).seal(PLAIN, purpose="signing-key", row="kid-1")


def test_a_sealed_value_opens_again():
    assert vault(FIRST).open(sealed(FIRST), purpose="signing-key", row="kid-1") == PLAIN


def test_ciphertexts_contain_no_plaintext_or_secret_and_are_unique():
    once, again = sealed(FIRST), sealed(FIRST)
    assert once != again
    assert PLAIN not in once
    assert FIRST not in once


@pytest.mark.parametrize(
    ("purpose", "row"), [("totp", "kid-1"), ("signing-key", "kid-2"), ("signing-key", ""), ("", "signing-key\0kid-1")]
)
def test_a_ciphertext_does_not_open_for_another_row_or_purpose(purpose, row):
    """An attacker who can write rows must not be able to use a sealed value of another account."""
    with pytest.raises(ConfigurationError, match="damaged or was moved"):
        vault(FIRST).open(sealed(FIRST), purpose=purpose, row=row)


def test_during_a_rotation_the_newest_secret_seals_and_all_open():
    old = sealed(FIRST)
    both = vault(SECOND, FIRST)
    assert both.open(old, purpose="signing-key", row="kid-1") == PLAIN
    new = both.seal(PLAIN, purpose="signing-key", row="kid-1")
    assert vault(SECOND).open(new, purpose="signing-key", row="kid-1") == PLAIN
    with pytest.raises(ConfigurationError, match="another secret"):
        vault(FIRST).open(new, purpose="signing-key", row="kid-1")


def test_every_changed_bit_is_detected():
    whole = sealed(FIRST)
    for place in range(len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises(ConfigurationError):
            vault(FIRST).open(changed, purpose="signing-key", row="kid-1")


def test_every_truncation_is_detected():
    whole = sealed(FIRST)
    for length in range(len(whole)):
        with pytest.raises(ConfigurationError):
            vault(FIRST).open(whole[:length], purpose="signing-key", row="kid-1")


def test_neither_repr_nor_error_shows_a_secret():
    shown = repr(vault(FIRST, SECOND))
    with pytest.raises(ConfigurationError) as refused:
        vault(FIRST).open(sealed(SECOND), purpose="signing-key", row="kid-1")
    for secret in ("111", "222"):
        assert secret not in shown
        assert secret not in str(refused.value)
