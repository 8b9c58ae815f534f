"""The slices of an installation, and the settings that they state."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary.core.accounts import feature as accounts
from ostiary.core.accounts.settings import RegistrationSettings
from ostiary.core.audit import feature as audit
from ostiary.core.clients import feature as clients
from ostiary.core.devices import feature as devices
from ostiary.core.hashing import HashingSettings
from ostiary.core.mail import MailSettings
from ostiary.core.plug import Feature
from ostiary.core.revocations import RevocationSettings
from ostiary.core.sessions import feature as sessions
from ostiary.core.settings import ConfigFile, Loaded, Section, Settings, load
from ostiary.core.sign_in import feature as sign_in
from ostiary.core.tokens import feature as tokens
from ostiary.features.feed import feature as feed
from ostiary.features.introspection import feature as introspection
from ostiary.features.revocation import feature as revocation
from ostiary.features.totp import feature as totp
from ostiary.web import WebSettings

CORE: Final = (audit, accounts, clients, devices, sessions, tokens, sign_in)
"""In the order of their migrations."""

FEATURES: Final[tuple[Feature, ...]] = (feed, introspection, revocation, totp)
"""The optional slices: one import above and one line here. Without them, the rest assembles and does the main job."""

_NO_SLICES: Final[tuple[type[Section], ...]] = (HashingSettings, MailSettings, WebSettings, RevocationSettings)


def enabled() -> tuple[Feature, ...]:
    """Every slice, in the order of their migrations."""
    return (*CORE, *FEATURES)


def stated(features: tuple[Feature, ...]) -> tuple[type[Section], ...]:
    """The settings of the slices and of the parts that are no slices, in the order of the documentation."""
    of_slices = [section for feature in features for section in feature.settings]
    return tuple(sorted({*of_slices, *_NO_SLICES}, key=lambda section: section.section))


def _mail_in_production(settings: Settings) -> tuple[str, str] | None:
    """Without a mail server nobody could finish a registration."""
    needed = settings.production and settings.of(RegistrationSettings).require_verified_email
    if needed and settings.of(MailSettings).smtp is None:
        return "mail.smtp", "must be set in production (OSTIARY_MAIL_SMTP), so that registration mails arrive"
    return None


_RULES: Final = (_mail_in_production,)
"""The rules that span sections."""


def read_settings(
    top: Mapping[str, Any],
    sections: Sequence[Section] = (),
    *,
    config: str | os.PathLike[str] | ConfigFile | None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Every setting of an installation, right or wrong. Raises ConfigurationError where a source cannot be read."""
    environ = os.environ if environ is None else environ
    return load(stated(enabled()), sections, top, environ=environ, config=config, rules=_RULES)
