"""Settings of sessions."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ostiary.core.settings import Section, setting
from ostiary.store.hot import Rate

END_OLDEST: Final = "end-oldest"
REFUSE: Final = "refuse"

_LONGEST: Final = 400 * 86400  # no browser keeps a cookie longer (RFC 6265bis §5.5)


@dataclass(frozen=True, kw_only=True)
class SessionSettings(Section):
    section: ClassVar[str] = "sessions"

    lifetime: int = setting(
        "Seconds after which a session ends, no matter how often it is refreshed.", 30 * 86400, least=60, most=_LONGEST
    )
    idle: int = setting(
        "Seconds after which a session ends if it is not refreshed.", 14 * 86400, least=60, most=_LONGEST
    )
    limit: int = setting("How many sessions an account may have at the same time.", 5, least=1, most=10_000)
    limit_policy: str = setting(
        "What happens at a sign-in beyond the limit: `end-oldest` ends the oldest session of the account, `refuse` "
        "answers 409.",
        END_OLDEST,
        choices=(END_OLDEST, REFUSE),
    )
    refresh_limit: Rate = setting("Refreshes per session.", Rate(60, 60))
