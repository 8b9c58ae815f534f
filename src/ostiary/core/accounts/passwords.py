"""The password policy: passwords must be long enough and hard to guess, and are used exactly as sent."""

import math
import threading
import unicodedata
from collections.abc import Sequence
from typing import Final

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

from ostiary.errors import PasswordRejected

SHORTEST: Final = 8  # code points; SP 800-63B-4 §3.1.1.2 allows 8 where guessing is limited otherwise
LONGEST: Final = 256  # code points, 1024 bytes at most; longer is refused, never cut
_MOST_GUESSES: Final = 10**8  # zxcvbn's score 3 is above this; a random password of the shortest length just reaches it
_GUESSED: Final = "This password would be guessed quickly."
_ALWAYS_KNOWN: Final = ("ostiary",)

# zxcvbn gets only the beginning. Further characters cannot make it weaker. Its run time grows with the square of the
# length and with the ways to read ``4``, ``@`` or ``(`` as letters: 64 chosen characters keep it busy for 4 seconds.
_MOST_ESTIMATED: Final = 40
_LEAST_ESTIMATED: Final = 14
_MOST_READINGS: Final = 32

_estimating = threading.Lock()
"""zxcvbn keeps ``user_inputs`` in a global variable, so another thread would see the words of another user."""


def normalize(password: str) -> str:
    """Applies NFC, the only change ever made to a password (SP 800-63B-4 §3.1.1.2), here and at every check.

    A password that is too long is returned unchanged. It is refused or wrong anyway, and normalising it would only cost
    time.
    """
    return password if len(password) > LONGEST else unicodedata.normalize("NFC", password)


def candidate(password: str) -> str:
    """The text that is checked against a hash. A password that is longer than the limit is always wrong, and costs the
    same as any wrong password."""
    return normalize(password) if len(password) <= LONGEST else ""


def check_password(password: str, *, known: Sequence[str]) -> None:
    """Accepts or refuses a normalised new password. Slow: it computes for some milliseconds.

    Args:
        known: words that an attacker would try first for this user: the address and its parts, the name of the service.

    Raises:
        PasswordRejected: with all reasons, as text for the user.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        raise PasswordRejected(("It has characters that are not valid Unicode.",)) from None
    if reasons := _length_reasons(password) or _guessing_reasons(password, known):
        raise PasswordRejected(tuple(reasons))


def words_about(email: str, host: str) -> tuple[str, ...]:
    """The words to pass as ``known`` for a user with this address at this service."""
    local, _, domain = email.partition("@")
    return tuple(word for word in (email, local, domain, domain.partition(".")[0], host, *_ALWAYS_KNOWN) if word)


def _length_reasons(password: str) -> list[str]:
    if len(password) < SHORTEST:
        return [f"Use at least {SHORTEST} characters."]
    if len(password) > LONGEST:
        return [f"Use at most {LONGEST} characters."]
    return []


def _guessing_reasons(password: str, known: Sequence[str]) -> list[str]:
    words = [word.lower() for word in known]
    if password.lower() in words:  # compared as a whole, because the estimate may not cover the end of a long address
        return [_GUESSED]
    with _estimating:
        found = zxcvbn(_beginning(password), user_inputs=words)
    if found["guesses"] > _MOST_GUESSES:
        return []
    feedback = found["feedback"]
    return [_GUESSED, *(text for text in (feedback["warning"], *feedback["suggestions"]) if text)]


def _beginning(password: str) -> str:
    end = min(len(password), _MOST_ESTIMATED)
    while end > _LEAST_ESTIMATED and _readings(password[:end]) > _MOST_READINGS:
        end -= 1
    return password[:end]


def _readings(text: str) -> int:
    """Roughly the number of ways to read this text if digits and symbols stand for letters."""
    return math.prod(max(1, len(set(text).intersection(signs))) for signs in L33T_TABLE.values())
