"""The settings classes of every installation, for ``Ostiary(url, SessionSettings(limit=3))``.

An optional slice's own settings are imported from its folder: ``from ostiary.features.totp.settings import
TotpSettings``.
"""

from ostiary.core.accounts.settings import AccountSettings, RegistrationSettings
from ostiary.core.hashing import HashingSettings
from ostiary.core.mail.settings import MailSettings
from ostiary.core.revocations import RevocationSettings
from ostiary.core.sessions.settings import SessionSettings
from ostiary.core.settings import Secret
from ostiary.core.sign_in.settings import SignInSettings
from ostiary.core.tokens.settings import KeySettings, TokenSettings
from ostiary.store.hot import Rate
from ostiary.web.settings import WebSettings

__all__ = [
    "AccountSettings",
    "HashingSettings",
    "KeySettings",
    "MailSettings",
    "Rate",
    "RegistrationSettings",
    "RevocationSettings",
    "Secret",
    "SessionSettings",
    "SignInSettings",
    "TokenSettings",
    "WebSettings",
]
