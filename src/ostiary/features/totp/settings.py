"""Settings of TOTP."""

from dataclasses import dataclass
from typing import ClassVar

from ostiary.core.settings import Section, setting
from ostiary.store.hot import Rate


@dataclass(frozen=True, kw_only=True)
class TotpSettings(Section):
    section: ClassVar[str] = "totp"

    limit: Rate = setting(
        "Codes from the app that may be tried per account, no matter who tries them. A successful sign-in does not "
        "count.",
        # a code is valid for three steps: after the burst, 7300 guesses in a year succeed with a probability of 2 %
        Rate(20, 24 * 3600),
    )
    enrolment_limit: Rate = setting("How often an account may start to set up TOTP.", Rate(10, 3600))
