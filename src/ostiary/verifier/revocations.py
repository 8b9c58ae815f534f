"""Which tokens have ended before their time: known in memory, asked without I/O, at one cost however many there are.

Revocations name a session, an account's epoch or a token's ``jti``, never the bytes of a token: an ECDSA signature has
a second valid spelling, and a list of bytes would let a revoked token back in.
"""

from collections.abc import Callable
from typing import Final, Protocol

from ostiary.errors import RevocationsUnknown, TokenRevoked
from ostiary.verifier.access_token import AccessToken


class Revocations(Protocol):
    """Asked about every token, also one that was verified before. One object serves one issuer."""

    def check(self, token: AccessToken, now: float, /) -> None:
        """Returns if the token is still good. ``now`` is in seconds since the epoch. Does no I/O.

        Raises:
            TokenRevoked: its session has ended, its account's epoch was raised, or it was revoked itself.
            RevocationsUnknown: that cannot be known at the moment, so nobody is let in.
        """


class KnownRevocations:
    """Revocations as a change feed tells them. While ``fresh()`` is false, every token is refused with 503.

    An entry is kept until ``until`` (whole seconds since the epoch): when the last token that it concerns has expired,
    leeway included. One thread may change it while others ask.
    """

    def __init__(self, *, fresh: Callable[[], bool]) -> None:
        self._fresh = fresh
        self._sessions: Final = _Expiring()
        self._tokens: Final = _Expiring()
        self._accounts: Final = _Expiring()
        self._epochs: Final[dict[str, int]] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether the change feed is known up to this moment, so that anybody is let in."""
        return self._fresh()

    def end_session(self, sid: str, until: int) -> None:
        """Refuses every token of the session."""
        self._sessions.keep(sid, until)

    def revoke_token(self, jti: str, until: int) -> None:
        """Refuses one token."""
        self._tokens.keep(jti, until)

    def raise_epoch(self, sub: str, ver: int, until: int) -> None:
        """Refuses the account's tokens of epochs before ``ver``. Never lowers what is known: entries may come twice."""
        self._accounts.keep(sub, until)
        self._epochs[sub] = max(ver, self._epochs.get(sub, 0))

    def forget(self, now: float) -> None:
        """Drops what has passed its time. Costs as much as there is to drop: call it every minute or so."""
        self._sessions.forget(now)
        self._tokens.forget(now)
        for sub in self._accounts.forget(now):
            del self._epochs[sub]

    def check(self, token: AccessToken, _now: float, /) -> None:
        """As `Revocations.check`. A ``ver`` above the known one is good: the token was faster than the feed."""
        if not self._fresh():
            raise RevocationsUnknown("the change feed is not fresh")
        if token.sid in self._sessions:
            raise TokenRevoked("the session has ended")
        if token.ver < self._epochs.get(token.sub, 0):
            raise TokenRevoked("the account's epoch was raised")
        if token.jti in self._tokens:
            raise TokenRevoked("the token was revoked")

    def __len__(self) -> int:
        return len(self._sessions) + len(self._tokens) + len(self._epochs)


_BUCKET: Final = 60  # seconds; names go together with those of the same minute, so that none is searched for


class _Expiring(dict[str, int]):
    """Names with the bucket of their end: each is kept at least until its time and at most `_BUCKET` seconds longer."""

    def __init__(self) -> None:
        super().__init__()
        self._names: Final[dict[int, list[str]]] = {}

    def keep(self, name: str, until: int) -> None:
        bucket = until // _BUCKET + 1
        if bucket > self.get(name, 0):
            self[name] = bucket
            self._names.setdefault(bucket, []).append(name)

    def forget(self, now: float) -> list[str]:
        """Drops the buckets that lie in the past and returns the names that are gone with them."""
        gone = []
        for bucket in [bucket for bucket in self._names if bucket * _BUCKET <= now]:
            for name in self._names.pop(bucket):
                # else it was given a later time; buckets need not be in order, because nodes' clocks differ
                if self.get(name) == bucket:
                    del self[name]
                    gone.append(name)
        return gone
