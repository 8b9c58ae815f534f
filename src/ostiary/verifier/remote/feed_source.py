"""Finds an issuer's signed feed and fetches its next message."""

import time
from collections.abc import Callable
from typing import Final

from ostiary.jose import KeySet
from ostiary.verifier.feed_message import FEED_MEDIA_TYPE, FeedMessage, FeedProgress, verify_feed_message
from ostiary.verifier.remote.client_credentials import ClientCredentials
from ostiary.verifier.remote.fetch import BadRequest, FetchFailed
from ostiary.verifier.remote.flights import finish
from ostiary.verifier.remote.keys import COOL_DOWN_OF_ISSUER, RemoteKeys
from ostiary.verifier.remote.source import DEADLINE
from ostiary.verifier.remote.url import Url

ENDPOINT: Final = "ostiary_feed_endpoint"  # in the issuer's metadata; must be at its own origin: we send a secret there


class FeedSource:
    """Fetches one message after the other. Not thread-safe."""

    def __init__(
        self, keys: RemoteKeys, credentials: ClientCredentials, *, leeway: int, clock: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._credentials = credentials
        self._clock = clock
        self._endpoint: Url | None = None
        self._progress = FeedProgress(leeway=leeway)
        self.advance: Final = self._progress.advance
        """Call it when a message was applied."""
        self.restart: Final = self._progress.restart

    def next_message(self, *, wait: int) -> FeedMessage:
        """The message that continues the last one, or a snapshot.

        If there is nothing new, the issuer waits up to ``wait`` seconds before it answers.

        Raises:
            FetchFailed: the message could not be fetched.
            Unavailable: the issuer's keys could not be fetched.
            InvalidToken: the message is not from this issuer, or not the next one.
        """
        asked_at = self._clock()
        try:
            token = self._fetch(wait)
        except BadRequest:
            self._progress.retreat()
            raise
        message = self._verified(token)
        self._progress.check(message, asked_at=asked_at, now=self._clock())
        return message

    def _fetch(self, wait: int) -> str:
        until = time.monotonic() + DEADLINE + wait
        endpoint, self._endpoint = self._endpoint, None  # looked up again after a failure, because it may have moved
        endpoint = endpoint or self._keys.source.endpoint(ENDPOINT, until)
        document = self._keys.source.get(
            self._with_query(endpoint, wait),
            until=until,
            media_type=FEED_MEDIA_TYPE,
            authorization=self._credentials.authorization,
            pause=wait,
        )
        self._endpoint = endpoint
        try:
            return document.body.decode("ascii")
        except UnicodeError:
            raise FetchFailed("the feed message is not ASCII") from None

    def _with_query(self, endpoint: Url, wait: int) -> Url:
        position = self._progress.position
        query = f"wait={wait}" if position is None else f"after={position}&wait={wait}"
        return endpoint._replace(target=f"{endpoint.target}{'&' if '?' in endpoint.target else '?'}{query}")

    def _verified(self, token: str) -> FeedMessage:
        def check(keys: KeySet) -> FeedMessage:
            return verify_feed_message(token, keys, issuer=self._keys.issuer, client_id=self._credentials.client_id)

        return finish(self._keys.steps(token, check, cool_down=COOL_DOWN_OF_ISSUER))
