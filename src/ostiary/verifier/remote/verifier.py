"""`RemoteVerifier`: verifies access tokens of a remote issuer with the keys that it publishes."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, Self, final

from ostiary.errors import BadSignature
from ostiary.jose import KeySet
from ostiary.verifier.access_token import AccessToken
from ostiary.verifier.authenticator import TokenAuthenticator
from ostiary.verifier.credential import Headers
from ostiary.verifier.principal import Principal
from ostiary.verifier.remote.feed import RevocationFeed
from ostiary.verifier.remote.flights import OnTheirWay, finish, finish_async
from ostiary.verifier.remote.keys import RemoteKeys


class LocalVerifier(Protocol):
    """The part of a `Verifier` that a `RemoteVerifier` uses, once it has the keys."""

    def verify(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> AccessToken: ...

    def now(self) -> float: ...


@final
class RemoteVerifier:
    """A `Verifier` that fetches its keys automatically. Create it with `Verifier.remote`.

    `verify` does no I/O if the token names a known key. Otherwise it waits for the keys, a few seconds at most. In the
    thread of an event loop it does not wait. While the keys are being fetched, it raises Unavailable there. In async
    code, await `verify_async` instead, or await `refresh_async` when the app starts. Usable from threads and event
    loops.

    It is also an `ostiary.verifier.Authenticator`, so you can pass it to a guard. For cookies or role permissions, wrap
    it in a `TokenAuthenticator`. It is a context manager as well, which stops the thread that follows a feed.
    """

    role_map = None
    """Only role names are known, not their permissions."""

    def __init__(
        self, keys: RemoteKeys, made_with: Callable[[KeySet], LocalVerifier], *, feed: RevocationFeed | None = None
    ) -> None:
        self._remote = keys
        self._keys_at_hand = keys.at_hand
        self._feed = feed
        self._made_with = made_with
        no_keys = KeySet()
        self._current = no_keys, made_with(no_keys)
        self._authenticator = TokenAuthenticator(self)

    @property
    def issuer(self) -> str:
        return self._remote.issuer

    def verify(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> AccessToken:
        """As `Verifier.verify`.

        Raises:
            InvalidToken: the token is not valid. The subclass says why.
            Unavailable: the keys or the revocations cannot be fetched.
        """
        known = self._verify_at_hand(token, now, proven_key)
        return known or finish(self._remote.steps(token, partial(self._verify_with, token, now, proven_key)))

    async def verify_async(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> AccessToken:
        """Like `verify`, but never blocks the event loop."""
        try:
            return await self._verify_async(token, now, proven_key)
        except OnTheirWay as revocations:
            await revocations.arrival()
        return await self._verify_async(token, now, proven_key)

    def refresh(self) -> None:
        """Fetches the keys and starts to follow the feed, if there is one.

        Call it at start-up, so that a wrong setting shows there.

        Raises:
            Unavailable: there are no keys, or the feed cannot be read.
        """
        self._remote.refresh()
        if self._feed is not None:
            finish(self._feed.started(), in_event_loop=OnTheirWay)

    async def refresh_async(self) -> None:
        """Like `refresh`, for event loops."""
        await self._remote.refresh_async()
        if self._feed is not None:
            await finish_async(self._feed.started())

    def close(self) -> None:
        """Stops following the feed. Does nothing if there is no feed."""
        if self._feed is not None:
            self._feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> float:
        """The clock's time in seconds since the epoch."""
        return self._current[1].now()

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """As `ostiary.verifier.Authenticator.authenticate`."""
        return self._authenticator.authenticate(headers, method=method)

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """As `ostiary.verifier.Authenticator.authenticate_async`."""
        return await self._authenticator.authenticate_async(headers, method=method)

    async def _verify_async(self, token: str, now: float | None, proven_key: str | None) -> AccessToken:
        known = self._verify_at_hand(token, now, proven_key)
        if known is not None:
            return known
        return await finish_async(self._remote.steps(token, partial(self._verify_with, token, now, proven_key)))

    def _verify_at_hand(self, token: str, now: float | None, proven_key: str | None) -> AccessToken | None:
        """The fast path for the usual case that no key has to be fetched. None: a key has to be fetched first."""
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

    def _verify_with(self, token: str, now: float | None, proven_key: str | None, keys: KeySet) -> AccessToken:
        return self._verifier_with(keys).verify(token, now=now, proven_key=proven_key)

    def _verifier_with(self, keys: KeySet) -> LocalVerifier:
        # replaced as one pair, so that a thread that still holds the previous keys cannot bring them back for others
        current = self._current
        if current[0] is not keys:
            current = self._current = keys, self._made_with(keys)
        return current[1]
