"""Settings of registration and accounts."""

from dataclasses import dataclass
from typing import ClassVar

from ostiary.core.settings import Section, setting
from ostiary.store.hot import Rate


@dataclass(frozen=True, kw_only=True)
class RegistrationSettings(Section):
    section: ClassVar[str] = "registration"

    limit: Rate = setting("Registrations per source.", Rate(10, 60))
    daily_limit: Rate = setting(
        "Registrations per source over a longer time. It bounds the rows and the mails to strangers that one source "
        "can cause.",
        Rate(200, 24 * 3600),
    )
    verification_lifetime: int = setting(
        "Seconds the link in a registration mail is valid.",
        24 * 3600,
        least=60,
        most=24 * 3600,  # SP 800-63B-4 §4.2.1.2: at most 24 hours by mail
    )
    require_verified_email: bool = setting(
        "Whether an account exists only after the link in its mail was used. With `false`, anyone who registers can "
        "find out whether an address is taken.",
        default=False,
        default_from="production",
    )


@dataclass(frozen=True, kw_only=True)
class AccountSettings(Section):
    section: ClassVar[str] = "accounts"

    private_domains: bool = setting(
        "Whether addresses may be in private domains: .local, .localhost, .test, .internal, home.arpa, "
        "or a name without a dot, such as `mailserver`.",
        default=False,
    )
    profile_limit: Rate = setting("Profile changes that a user may make.", Rate(60, 3600))
