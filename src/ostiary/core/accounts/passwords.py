"""The password policy: long enough, not guessable, and used exactly as it was sent."""

import unicodedata
from collections.abc import Sequence
from typing import Final

from zxcvbn import zxcvbn

from ostiary.errors import PasswordRejected

SHORTEST: Final = 8  # code points; SP 800-63B-4 §3.1.1.2 allows 8 where guessing is limited otherwise
LONGEST: Final = 256  # code points; longer is refused, never cut
_MOST_BYTES: Final = 1024
_LEAST_SCORE: Final = 3  # zxcvbn: more than 10^8 guesses
_ESTIMATED: Final = 64  # code points zxcvbn looks at: a strong beginning does not get weaker by what follows
_ALWAYS_KNOWN: Final = ("ostiary",)


def normalize(password: str) -> str:
    """NFC, the one change ever made (SP 800-63B-4 §3.1.1.2), here and at every check.

    A password that is too long is left as it is: it is refused, or wrong, and normalising it would only cost time.
    """
    return password if len(password) > LONGEST else unicodedata.normalize("NFC", password)


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
    if len(password) > LONGEST or len(password.encode()) > _MOST_BYTES:
        return [f"Use at most {LONGEST} characters."]
    return []


def _guessing_reasons(password: str, known: Sequence[str]) -> list[str]:
    found = zxcvbn(password[:_ESTIMATED], user_inputs=[word.lower() for word in known])
    if found["score"] >= _LEAST_SCORE:
        return []
    feedback = found["feedback"]
    said = [text for text in (feedback["warning"], *feedback["suggestions"]) if text]
    return ["This password would be guessed quickly.", *said]
