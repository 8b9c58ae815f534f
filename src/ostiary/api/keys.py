"""``auth.keys``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ostiary.api.door import Door, check_id
from ostiary.core.accounts.authority import check
from ostiary.core.clock import exact_moment
from ostiary.core.tokens.keys import queries, service
from ostiary.core.tokens.keys.service import KEYS_WRITE


@dataclass(frozen=True, slots=True)
class SigningKeyInfo:
    """A signing key, without the key itself. ``since`` is when it came into its state. Times are in UTC."""

    kid: str
    alg: str
    state: str
    since: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UpcomingKey:
    """The key that signs next, and from when on, in UTC."""

    kid: str
    alg: str
    signs_from: datetime


@dataclass(frozen=True, slots=True)
class RevokedKeys:
    """The keys that were revoked. ``successor`` signs from now on; None where the current key was not among them."""

    kids: tuple[str, ...]
    successor: str | None


class Keys(Door):
    """Signing keys. Everything but `jwks` needs the permission ``keys:write``."""

    async def list(self) -> tuple[SigningKeyInfo, ...]:
        """Every key.

        Raises:
            Forbidden: the actor lacks ``keys:write``.
        """
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, KEYS_WRITE)
        return tuple(
            SigningKeyInfo(
                kid=key.kid,
                alg=key.alg,
                state=str(key.state),
                since=None if key.since is None else exact_moment(key.since),
                created_at=exact_moment(key.created_at),
            )
            for key in await queries.every(ambient.database)
        )

    async def rotate(self) -> UpcomingKey:
        """Lets the next key sign as soon as every service can know it. Makes one where there is none.

        Raises:
            Conflict: too many keys are published.
            Forbidden: the actor lacks ``keys:write``.
        """
        upcoming = await service.rotate(self._ambient, self._actor)
        return UpcomingKey(upcoming.kid, upcoming.alg, exact_moment(upcoming.signs_from))

    async def revoke(self, kid: str) -> RevokedKeys:
        """Revokes a key at once. Its tokens are refused, and a new key signs in the place of the current one.

        Raises:
            NotFound: there is no such key.
            Forbidden: the actor lacks ``keys:write``.
        """
        check_id(kid)
        revoked = await service.revoke(self._ambient, self._actor, kid)
        return RevokedKeys(revoked.kids, revoked.successor)

    async def revoke_all(self) -> RevokedKeys:
        """Revokes every key at once, also the next and the retired ones, for when the master secret is known to others.

        Raises:
            Forbidden: the actor lacks ``keys:write``.
        """
        revoked = await service.revoke_all(self._ambient, self._actor)
        return RevokedKeys(revoked.kids, revoked.successor)

    def jwks(self) -> Mapping[str, Any]:
        """The public keys as a JWK Set (RFC 7517), as this process knows them."""
        return {"keys": [key.to_jwk() for key in self._ambient.keys.published]}
