"""Settings of access tokens, refresh tokens and signing keys."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ostiary.core.resource import problem_with
from ostiary.core.settings import Section, Settings, plain_url, setting
from ostiary.jose.algorithms import ASYMMETRIC

# A shared secret (HS256) could not be published: every service that verifies could also sign. ML-DSA signatures are so
# long that the access token would not fit into a cookie (RFC 6265 §6.1: 4096 bytes).
_OFFERED: Final = tuple(name for name in ASYMMETRIC if not name.startswith("ML-DSA"))


def _check_resources(resources: tuple[str, ...], settings: Settings) -> str | None:
    if plain_url(settings.issuer) is None:
        return None  # the issuer comes first: without it there is nothing to compare with
    for resource in resources:
        if (problem := problem_with(resource, issuer=settings.issuer)) is not None:
            return f"must hold valid resources, not {resource!r}. {problem}"
    return None


@dataclass(frozen=True, kw_only=True)
class TokenSettings(Section):
    section: ClassVar[str] = "tokens"

    access_lifetime: int = setting("Seconds an access token is valid.", 15 * 60, least=10, most=24 * 3600)
    refresh_grace: int = setting(
        "Seconds in which a spent refresh token gets the same successor again, so that a lost response does not end "
        "the session. 0: a second use always ends the session.",
        10,
        least=0,
        most=60,
    )
    resources: tuple[str, ...] = setting(
        "URLs of other services that access tokens may be requested for, in addition to those of service clients.",
        (),
        check=_check_resources,
    )
    status_lists: bool = setting(
        "Whether access tokens refer to a published status list, so that other services can see revocations.",
        default=True,
    )
    email_claim: bool = setting(
        "Whether access tokens for Ostiary's own audience carry the account's verified e-mail address as `email`.",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class KeySettings(Section):
    section: ClassVar[str] = "keys"

    lifetime: int = setting(
        "Seconds a signing key signs before the next one takes over.", 90 * 86400, least=3600, most=400 * 86400
    )
    algorithm: str = setting(
        "The algorithm of signing keys. A change takes effect with the next key.", "ES256", choices=_OFFERED
    )
