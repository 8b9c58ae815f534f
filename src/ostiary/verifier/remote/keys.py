"""The keys of an issuer elsewhere: fetched when needed, kept through outages, for a bounded time."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar, final

from ostiary.errors import BadSignature, Unavailable
from ostiary.jose import KeySet
from ostiary.jose import header as headers
from ostiary.verifier.remote.flights import Steps, finish, finish_async
from ostiary.verifier.remote.kept import Kept, Loaded
from ostiary.verifier.remote.source import IssuerSource

DEFAULT_LIFETIME: Final = 300  # seconds that keys are kept when the issuer says nothing
LEAST_LIFETIME: Final = 60
MOST_LIFETIME: Final = 3600  # an issuer that withdraws a stolen key must not be bound by a max-age of a year
MAX_AGE: Final = 6 * 3600
"""Seconds after which keys that could not be renewed verify nothing. An issuer's outage is bridged, a key that somebody
keeps us from seeing withdrawn is not trusted for longer."""

COOL_DOWN: Final = 30.0  # seconds between fetches, whatever the tokens name (GHSA-2gx3-rcp4-g85q)
COOL_DOWN_OF_ISSUER: Final = 5.0
"""The same for what the issuer itself has told us, signed with a key that we have not met: after a key was stolen, the
next one signs at once."""

T = TypeVar("T")


@final
class RemoteKeys:
    """The keys that ``issuer`` publishes. Constructing it connects to nothing. Usable from threads and event loops.

    Args:
        issuer: To the letter as in its tokens and metadata; an ``https`` URL.
        jwks_uri: Where the JWK Set is. None: where the issuer's metadata (RFC 8414) says, at the issuer's own origin.
        openid: Also looks for OpenID Connect's metadata, where the issuer has none of RFC 8414.
        networks: Networks beside the public internet in which the issuer may be, such as ``10.20.0.0/16``.
        ca_file: A PEM file with the certificate authorities to trust instead of the system's.
        development: Permits ``http`` for an issuer on the loopback interface.
        monotonic: Seconds by a clock that is never set.

    Raises:
        ConfigurationError: a URL, network or file that cannot be used.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer: Final = issuer
        self.source: Final = IssuerSource(
            issuer, jwks_uri=jwks_uri, openid=openid, networks=networks, ca_file=ca_file, development=development
        )
        self._withdrawn: frozenset[str] = frozenset()
        self._kept: Final[Kept[KeySet]] = Kept(
            self._load,
            name=f"the keys of {issuer}",
            error=Unavailable,
            cool_down=COOL_DOWN,
            monotonic=monotonic,
            admit=self._admitted,
        )
        self.at_hand: Final = self._kept.at_hand
        """The keys, as long as nothing has to be fetched: else None."""

    def refresh(self) -> None:
        """Fetches the keys, unless that was done a moment ago: for the start, so that a wrong setting shows there.

        Raises:
            Unavailable: there are no keys that could be used.
        """
        finish(self.refreshed())

    async def refresh_async(self) -> None:
        """As `refresh`, for event loops."""
        await finish_async(self.refreshed())

    def withdraw(self, kid: str) -> None:
        """From now on the key of that name verifies nothing, though the issuer may still publish it for a while."""
        self._withdrawn |= {kid}
        self._kept.change()

    def steps(self, token: str, check: Callable[[KeySet], T], *, cool_down: float = COOL_DOWN) -> Steps[T]:
        """What ``check`` makes of the issuer's keys. Where ``token`` names a key that is not among them, they are
        fetched, at most once in ``cool_down`` seconds, and it is asked again.

        Raises:
            Unavailable: the keys cannot be known. Whatever ``check`` raises.
        """
        keys = yield from self._kept.get()
        try:
            return check(keys)
        except BadSignature:
            newer = yield from self._with_key_of(token, keys, cool_down)
            if newer is None:
                raise
        return check(newer)

    def names_another(self, token: str, keys: KeySet) -> bool:
        """Whether ``token``, which has a readable header, names a key that is not in ``keys`` and may be a new one."""
        return self._kid_to_fetch(token, keys) is not None

    def refreshed(self) -> Steps[None]:
        yield from self._kept.renew()
        yield from self._kept.get()

    def _with_key_of(self, token: str, keys: KeySet, cool_down: float) -> Steps[KeySet | None]:
        """Newer keys with the one that ``token`` names, or None if the issuer has none of that name."""
        kid = self._kid_to_fetch(token, keys)
        if kid is None:
            return None
        is_certain = yield from self._kept.renew(cool_down=cool_down)
        newer = self._kept.value
        if newer is not None and kid in newer:
            return newer
        if not is_certain:  # it may be new: then the token is good
            raise self._kept.unavailable()
        return None

    def _kid_to_fetch(self, token: str, keys: KeySet) -> str | None:
        kid = headers.parse(token.partition(".")[0].encode("ascii")).kid
        return None if kid is None or kid in keys or kid in self._withdrawn else kid

    def _load(self) -> Loaded[KeySet]:
        keys, max_age = self.source.load()
        lifetime = DEFAULT_LIFETIME if max_age is None else max_age
        return Loaded(keys, min(max(lifetime, LEAST_LIFETIME), MOST_LIFETIME), MAX_AGE)

    def _admitted(self, keys: KeySet, former: KeySet | None) -> KeySet:
        if self._withdrawn:
            keys = KeySet(key for key in keys if key.kid not in self._withdrawn)
        # the same object where nothing has changed, so that what was verified with it stays known
        return former if former is not None and former.to_jwks() == keys.to_jwks() else keys
