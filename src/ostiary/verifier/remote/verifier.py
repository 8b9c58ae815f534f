"""`RemoteVerifier`: access tokens of an issuer elsewhere, verified with the keys that it publishes."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self, final

from ostiary.errors import BadSignature
from ostiary.jose import KeySet
from ostiary.verifier.authenticator import TokenAuthenticator
from ostiary.verifier.credential import Headers
from ostiary.verifier.principal import Principal
from ostiary.verifier.remote.feed import RevocationFeed
from ostiary.verifier.remote.flights import OnTheirWay, finish, finish_async
from ostiary.verifier.remote.keys import RemoteKeys

if TYPE_CHECKING:
    from ostiary.verifier.access_token import AccessToken
    from ostiary.verifier.verifier import Verifier


@final
class RemoteVerifier:
    """A `Verifier` that gets its keys by itself. Make it with `Verifier.remote`. Usable from threads and event loops.

    `verify` does no I/O as long as the token names a key that is known. Otherwise it waits for the keys, a few seconds
    at most; in the thread of an event loop it does not wait but raises Unavailable while they are being fetched:
    there, await `verify_async`, or await `refresh_async` when the app starts.

    It is an `ostiary.verifier.Authenticator` too, so that a guard takes it. With cookies or role permissions, put it
    into a `TokenAuthenticator`. And a context manager, for the thread that follows a feed.
    """

    role_map = None
    """Only role names are known."""

    def __init__(
        self, keys: RemoteKeys, made_with: "Callable[[KeySet], Verifier]", *, feed: RevocationFeed | None = None
    ) -> None:
        self._remote = keys
        self._keys_at_hand = keys.at_hand
        self._feed = feed
        self._made_with = made_with
        nobody = KeySet()
        self._current = nobody, made_with(nobody)
        self._authenticator = TokenAuthenticator(self)

    def verify(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> "AccessToken":
        """As `Verifier.verify`.

        Raises:
            InvalidToken: one of its family.
            Unavailable: the keys, or what is revoked, cannot be known.
        """
        known = self._verify_at_hand(token, now, proven_key)
        return known or finish(self._remote.steps(token, partial(self._verify_with, token, now, proven_key)))

    async def verify_async(
        self, token: str, *, now: float | None = None, proven_key: str | None = None
    ) -> "AccessToken":
        """As `verify`, and never stops the event loop."""
        try:
            return await self._verify_async(token, now, proven_key)
        except OnTheirWay as revocations:
            await revocations.arrival()
        return await self._verify_async(token, now, proven_key)

    def refresh(self) -> None:
        """Fetches the keys and starts to follow the feed, if there is one, so that a wrong setting shows at the start.

        Raises:
            Unavailable: there are no keys, or the feed cannot be read.
        """
        self._remote.refresh()
        if self._feed is not None:
            finish(self._feed.started(), in_event_loop=OnTheirWay)

    async def refresh_async(self) -> None:
        """As `refresh`, for event loops."""
        await self._remote.refresh_async()
        if self._feed is not None:
            await finish_async(self._feed.started())

    def close(self) -> None:
        """Stops following the feed. Without one there is nothing to close."""
        if self._feed is not None:
            self._feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> float:
        """What the clock says, in seconds since the epoch."""
        return self._current[1].now()

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """As `ostiary.verifier.Authenticator.authenticate`."""
        return self._authenticator.authenticate(headers, method=method)

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """As `ostiary.verifier.Authenticator.authenticate_async`."""
        return await self._authenticator.authenticate_async(headers, method=method)

    async def _verify_async(self, token: str, now: float | None, proven_key: str | None) -> "AccessToken":
        known = self._verify_at_hand(token, now, proven_key)
        if known is not None:
            return known
        return await finish_async(self._remote.steps(token, partial(self._verify_with, token, now, proven_key)))

    def _verify_at_hand(self, token: str, now: float | None, proven_key: str | None) -> "AccessToken | None":
        """The short way: nearly always, no key has to be fetched. None: it has to be."""
        keys = self._keys_at_hand()
        if keys is None:
            return None
        current = self._current
        verifier = current[1] if current[0] is keys else self._verifier_with(keys)
        try:
            return verifier.verify(token, now=now, proven_key=proven_key)
        except BadSignature:
            if self._remote.names_another(token, keys):
                return None
            raise

    def _verify_with(self, token: str, now: float | None, proven_key: str | None, keys: KeySet) -> "AccessToken":
        return self._verifier_with(keys).verify(token, now=now, proven_key=proven_key)

    def _verifier_with(self, keys: KeySet) -> "Verifier":
        # a pair, replaced as one: a thread that still has the former keys cannot bring them back for the others
        current = self._current
        if current[0] is not keys:
            current = self._current = keys, self._made_with(keys)
        return current[1]
