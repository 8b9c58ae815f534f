"""The answer about a token."""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ostiary.verifier import AccessToken, Confirmation


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662 §2.2, with the claims of RFC 9068 and of Ostiary. If the token is not active, nothing else is set."""

    active: bool
    iss: str | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    aud: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    sid: str | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    acr: str | UnsetType = UNSET
    amr: tuple[str, ...] | UnsetType = UNSET
    auth_time: int | UnsetType = UNSET
    cnf: Confirmation | UnsetType = UNSET


INACTIVE: Final = Introspection(active=False)


def active(token: AccessToken, *, audience: str) -> Introspection:
    """``cnf`` is passed on and not checked: the proof of possession is for the service that asks (RFC 9449 §6.2)."""
    return Introspection(
        active=True,
        iss=token.iss,
        sub=token.sub,
        aud=audience,
        client_id=token.client_id,
        exp=token.exp,
        iat=token.iat,
        jti=token.jti,
        token_type="Bearer" if token.cnf is None else "DPoP",
        scope=token.scope,
        sid=token.sid,
        roles=token.roles,
        acr=token.acr,
        amr=token.amr,
        auth_time=token.auth_time,
        cnf=UNSET if token.cnf is None else token.cnf,
    )
