"""The password policy: long enough, not guessable, and used exactly as it was sent."""

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
_MOST_GUESSES: Final = 10**8  # zxcvbn's score 3 begins beyond; a random password of the least length just reaches it
_GUESSED: Final = "This password would be guessed quickly."
_ALWAYS_KNOWN: Final = ("ostiary",)

# zxcvbn looks at the beginning only, which does not get weaker by what follows. Its time grows with the square of the
# length, and with the ways to read ``4``, ``@`` or ``(`` as letters: 64 chosen characters keep it busy for 4 seconds.
_MOST_ESTIMATED: Final = 40
_LEAST_ESTIMATED: Final = 14
_MOST_READINGS: Final = 32

_estimating = threading.Lock()
"""zxcvbn keeps ``user_inputs`` in a global: in another thread they would be somebody else's."""


def normalize(password: str) -> str:
    """NFC, the one change ever made (SP 800-63B-4 §3.1.1.2), here and at every check.

    A password that is too long is left as it is: it is refused, or wrong, and normalising it would only cost time.
    """
    return password if len(password) > LONGEST else unicodedata.normalize("NFC", password)


def candidate(password: str) -> str:
    """What is checked against a hash. Longer than any accepted one it is wrong whatever it is, and costs what a wrong
    one costs."""
    return normalize(password) if len(password) <= LONGEST else ""


def check_password(password: str, *, known: Sequence[str]) -> None:
    """Accepts or refuses a normalised new password. Slow: some milliseconds of computing.

    Args:
        known: what an attacker would try first for this person: the address and its parts, the service's name.

    Raises:
        PasswordRejected: with every reason, for a person to read.
    """
    if reasons := _length_reasons(password) or _guessing_reasons(password, known):
        raise PasswordRejected(tuple(reasons))


def words_about(email: str, host: str) -> tuple[str, ...]:
    """The words that ``known`` should have for somebody with this address at this service."""
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
    if password.lower() in words:  # as a whole: the estimate does not reach to the end of a long address
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
    """About how many texts this one is when digits and signs stand for letters."""
    return math.prod(max(1, len(set(text).intersection(signs))) for signs in L33T_TABLE.values())
