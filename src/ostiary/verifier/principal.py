"""The authenticated caller of a request."""

from typing import Final, Self

from msgspec import Struct

from ostiary.errors import ClaimRejected, Forbidden
from ostiary.verifier.access_token import AccessToken

ACCOUNT_PREFIX: Final = "acc_"
CLIENT_PREFIX: Final = "client_"
"""The prefix of ``sub`` says what it identifies, so that no client can take the name of an account (RFC 9700 §4.15)."""


class Principal(Struct, frozen=True, kw_only=True):
    """A caller whose token was verified. Only `of` creates one, so a `Principal` is proof of the verification.

    ``roles`` and ``scope`` are those that the token was issued with. Changing the roles revokes the token.
    """

    subject: str
    session_id: str
    client_id: str
    roles: frozenset[str]
    scope: frozenset[str]
    auth_time: int
    """When the user signed in, in seconds since the epoch. A refresh does not change it."""
    acr: str
    amr: tuple[str, ...]
    token: AccessToken

    @classmethod
    def of(cls, token: AccessToken) -> Self:
        """The caller named by a verified token. Raises ClaimRejected if ``sub`` is neither an account nor a client."""
        if not token.sub.startswith((ACCOUNT_PREFIX, CLIENT_PREFIX)):
            raise ClaimRejected(f"sub: the subject must begin with {ACCOUNT_PREFIX} or {CLIENT_PREFIX}")
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
        """Whether the caller is a user, and not a service client."""
        return self.subject.startswith(ACCOUNT_PREFIX)

    @property
    def account_id(self) -> str:
        """The calling user's account. Raises Forbidden if the caller is a service client, which has no account."""
        if not self.is_account:
            raise Forbidden("sub: the caller is a service client and has no account")
        return self.subject

    @property
    def email(self) -> str | None:
        """The account's verified address, where the setting ``tokens.email_claim`` is on and the token is for the
        issuer's own audience. Otherwise None."""
        return self.token.email

    def has_role(self, role: str) -> bool:
        return role in self.roles
