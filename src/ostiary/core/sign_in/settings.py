"""Settings of sign-in."""

from dataclasses import dataclass
from typing import ClassVar

from ostiary.core.settings import Section, setting
from ostiary.store.hot import Rate


@dataclass(frozen=True, kw_only=True)
class SignInSettings(Section):
    section: ClassVar[str] = "sign_in"

    limit: Rate = setting("Sign-in attempts per source. A successful sign-in does not count.", Rate(5, 60))
    step_limit: Rate = setting(
        "Attempts per source at each later step of a sign-in, such as a TOTP code. A successful one does not count.",
        Rate(10, 60),
    )
    account_limit: Rate = setting(
        "Sessions that an account may begin. It bounds the rows that one account can write. Only callers with correct "
        "credentials reach it.",
        Rate(60, 3600),
    )
    attempt_lifetime: int = setting(
        "Seconds in which a sign-in with several steps must be finished.", 300, least=30, most=3600
    )
