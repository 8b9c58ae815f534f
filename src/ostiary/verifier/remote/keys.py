"""The keys of a remote issuer: fetched when needed, cached, and used through outages for a limited time."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar, final

from ostiary.errors import BadSignature, Unavailable
from ostiary.jose import KeySet, SkippedKey
from ostiary.jose import header as headers
from ostiary.verifier.remote.flights import Steps, finish, finish_async
from ostiary.verifier.remote.kept import Kept, Loaded
from ostiary.verifier.remote.source import IssuerSource

DEFAULT_LIFETIME: Final = 300  # seconds for which keys are cached if the issuer sends no max-age
LEAST_LIFETIME: Final = 60
MOST_LIFETIME: Final = 3600  # with a longer max-age, an issuer could not withdraw a stolen key in time
MAX_AGE: Final = 6 * 3600
"""Seconds after which keys that could not be renewed verify no token.

This bridges an issuer's outage, but limits how long an attacker can hide the withdrawal of a key from us.
"""

COOL_DOWN: Final = 30.0  # seconds between fetches, whatever keys the tokens name (GHSA-2gx3-rcp4-g85q)
COOL_DOWN_OF_ISSUER: Final = 5.0
"""The same for documents that we requested from the issuer itself and that are signed with an unknown key.

After a key was stolen, the issuer signs with the next one immediately.
"""

T = TypeVar("T")


@final
class RemoteKeys:
    """The keys that ``issuer`` publishes. Usable from threads and event loops.

    The constructor does not connect to anything.

    Args:
        issuer: An ``https`` URL, exactly as in the issuer's tokens and metadata.
        jwks_uri: The URL of the JWK Set. None: it is read from the issuer's metadata (RFC 8414), and must be at the
            issuer's own origin.
        alg: The only algorithm that the issuer signs with. Its keys for others are left out. None: each key has the
            algorithm that it names. If it names none, it has the only one of its curve, or RS256 if it is an RSA key.
        openid: Whether to try OpenID Connect's metadata if the issuer has no RFC 8414 metadata.
        networks: Networks other than the public internet that the issuer may be in, such as ``10.20.0.0/16``.
        ca_file: A PEM file with the certificate authorities to trust instead of the system's.
        development: Permits ``http`` for an issuer on the loopback interface.
        monotonic: Returns seconds of a clock that is never adjusted.

    Raises:
        ConfigurationError: a URL, algorithm, network or file cannot be used.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        alg: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer: Final = issuer
        self.source: Final = IssuerSource(
            issuer,
            jwks_uri=jwks_uri,
            alg=alg,
            openid=openid,
            networks=networks,
            ca_file=ca_file,
            development=development,
        )
        self._skipped: tuple[SkippedKey, ...] = ()
        self._withdrawn: frozenset[str] = frozenset()
        self._kept: Final[Kept[KeySet]] = Kept(
            self._load,
            name=f"the keys of {issuer}",
            event="remote_keys.fetch_failed",
            fields={"issuer": issuer},
            error=Unavailable,
            cool_down=COOL_DOWN,
            monotonic=monotonic,
            admit=self._admitted,
        )
        self.at_hand: Final = self._kept.at_hand
        """The keys, or None if something has to be fetched first."""

    @property
    def skipped(self) -> tuple[SkippedKey, ...]:
        """The members of the last fetched JWK Set that are not used, and why. Each is also logged once."""
        return self._skipped

    def refresh(self) -> None:
        """Fetches the keys unless that was done recently. Call it at start-up, so that a wrong setting shows there.

        Raises:
            Unavailable: there are no usable keys.
        """
        finish(self.refreshed())

    async def refresh_async(self) -> None:
        """Like `refresh`, for event loops."""
        await finish_async(self.refreshed())

    def withdraw(self, kid: str) -> None:
        """Stops trusting the key ``kid``, even if the issuer still publishes it for a while."""
        self._withdrawn |= {kid}
        self._kept.change()

    def steps(self, token: str, check: Callable[[KeySet], T], *, cool_down: float = COOL_DOWN) -> Steps[T]:
        """The result of ``check`` with the issuer's keys.

        If ``token`` names a key that is not among them, the keys are fetched again, at most once in ``cool_down``
        seconds, and ``check`` runs a second time.

        Raises:
            Unavailable: the keys cannot be fetched.

        Exceptions that ``check`` raises are passed on.
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
        """Whether ``token`` names a key that is not in ``keys`` and may be new. The token's header must be readable."""
        return self._kid_to_fetch(token, keys) is not None

    def refreshed(self) -> Steps[None]:
        yield from self._kept.renew()
        yield from self._kept.get()

    def _with_key_of(self, token: str, keys: KeySet, cool_down: float) -> Steps[KeySet | None]:
        """Newer keys with the key that ``token`` names, or None if the issuer has no key of that name."""
        kid = self._kid_to_fetch(token, keys)
        if kid is None:
            return None
        is_certain = yield from self._kept.renew(cool_down=cool_down)
        newer = self._kept.value
        if newer is not None and kid in newer:
            return newer
        if not is_certain:  # the key may be new, and then the token is valid
            raise self._kept.unavailable()
        return None

    def _kid_to_fetch(self, token: str, keys: KeySet) -> str | None:
        # the check has read the header by its own rules before it missed a key
        kid = headers.parse(token.partition(".")[0].encode("ascii"), foreign=True).kid
        return None if kid is None or kid in keys or kid in self._withdrawn else kid

    def _load(self) -> Loaded[KeySet]:
        keys, max_age = self.source.load()
        for member in keys.skipped:
            if member not in self._skipped:
                _log_skipped(self.issuer, member)
        self._skipped = keys.skipped
        lifetime = DEFAULT_LIFETIME if max_age is None else max_age
        return Loaded(keys, min(max(lifetime, LEAST_LIFETIME), MOST_LIFETIME), MAX_AGE)

    def _admitted(self, keys: KeySet, former: KeySet | None) -> KeySet:
        if self._withdrawn:
            keys = KeySet(key for key in keys if key.kid not in self._withdrawn)
        # the same object if nothing has changed, so that results cached with it stay cached
        return former if former is not None and former.to_jwks() == keys.to_jwks() else keys


def _log_skipped(issuer: str, member: SkippedKey) -> None:
    # imported late: verifying with local keys does not need it
    import logging  # noqa: PLC0415

    fields = {"issuer": issuer, "kid": member.kid, "reason": member.reason}
    logging.getLogger("ostiary").info("remote_keys.key_skipped", extra=fields)
