"""The slices of an installation, and the settings that they state."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from ostiary.core.accounts import feature as accounts
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
from ostiary.web import WebSettings

CORE: Final = (audit, accounts, clients, devices, sessions, tokens, sign_in)
"""In the order of their migrations."""

OPTIONAL: Final[tuple[str, ...]] = (
    "feed",
    "introspection",
    "revocation",
    "totp",
)
"""The optional slices by the names of their folders, in the order of their migrations: one line each. Without them, the
rest assembles and does the main job. This is the only dynamic import."""

FEATURES: Final[tuple[Feature, ...]] = tuple(import_module(f"ostiary.features.{name}").feature for name in OPTIONAL)

_NO_SLICES: Final[tuple[type[Section], ...]] = (HashingSettings, MailSettings, WebSettings, RevocationSettings)


def enabled() -> tuple[Feature, ...]:
    """Every slice, in the order of their migrations."""
    return (*CORE, *FEATURES)


def stated(features: tuple[Feature, ...]) -> tuple[type[Section], ...]:
    """The settings of the slices and of the parts that are no slices, in the order of the documentation."""
    of_slices = [section for feature in features for section in feature.settings]
    return tuple(sorted({*of_slices, *_NO_SLICES}, key=lambda section: section.section))


def _mail_in_production(settings: Settings) -> tuple[str, str] | None:
    """Without a mail server, mails are printed. They have links that give access, such as those that end a session."""
    if settings.production and settings.of(MailSettings).smtp is None:
        return "mail.smtp", "must be set in production (OSTIARY_MAIL_SMTP): mails have links that give access"
    return None


def read_settings(
    top: Mapping[str, Any],
    sections: Sequence[Section] = (),
    *,
    config: str | os.PathLike[str] | ConfigFile | None,
    environ: Mapping[str, str] | None = None,
    own_transport: bool = False,
) -> Loaded:
    """Every setting of an installation, right or wrong. Raises ConfigurationError where a source cannot be read.

    Args:
        own_transport: whether the application sends the mails, so that no mail server is needed.
    """
    environ = os.environ if environ is None else environ
    # the rules that span sections
    rules = () if own_transport else (_mail_in_production,)
    return load(stated(enabled()), sections, top, environ=environ, config=config, rules=rules)
