"""Who is calling, and with what."""

from typing import Final, Self

from msgspec import Struct

from ostiary.errors import ClaimRejected, Forbidden
from ostiary.verifier.access_token import AccessToken

ACCOUNT_PREFIX: Final = "acc_"
CLIENT_PREFIX: Final = "client_"
"""``sub`` says by its prefix what it names, so that no client can call itself like an account (RFC 9700 §4.15)."""


class Principal(Struct, frozen=True, kw_only=True):
    """A caller whose token was verified. Only `of` makes one, so that holding one is the proof.

    ``roles`` and ``scope`` are what the token was issued with; a change of roles ends the token.
    """

    subject: str
    session_id: str
    client_id: str
    roles: frozenset[str]
    scope: frozenset[str]
    auth_time: int
    """When the person signed in, in seconds since the epoch. A refresh does not renew it."""
    acr: str
    amr: tuple[str, ...]
    token: AccessToken

    @classmethod
    def of(cls, token: AccessToken) -> Self:
        """Raises ClaimRejected where ``sub`` names neither an account nor a client."""
        if not token.sub.startswith((ACCOUNT_PREFIX, CLIENT_PREFIX)):
            raise ClaimRejected("sub names neither an account nor a client")
        return cls(
            subject=token.sub,
            session_id=token.sid,
            client_id=token.client_id,
            roles=frozenset(token.roles),
            scope=frozenset(token.scope.split()),
            auth_time=token.auth_time,
            acr=token.acr,
            amr=token.amr,
            token=token,
        )

    @property
    def is_account(self) -> bool:
        """Whether a person is calling, and not a service by itself."""
        return self.subject.startswith(ACCOUNT_PREFIX)

    @property
    def account_id(self) -> str:
        """The calling person's account. Raises Forbidden when a service calls: what needs an account is not for it."""
        if not self.is_account:
            raise Forbidden("a service has no account")
        return self.subject

    def has_role(self, role: str) -> bool:
        return role in self.roles
