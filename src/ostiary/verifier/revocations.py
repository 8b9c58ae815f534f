"""Which tokens have ended before their time: known in memory, asked without I/O, at one cost however many there are.

Revocations name a session, an account's epoch or a token's ``jti``, never the bytes of a token: an ECDSA signature has
a second valid spelling, and a list of bytes would let a revoked token back in.
"""

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from ostiary.errors import ConfigurationError, RevocationsUnknown, TokenRevoked
from ostiary.verifier.access_token import AccessToken


class Revocations(Protocol):
    """Asked about every token, also one that was verified before. One object serves one issuer."""

    def check(self, token: AccessToken, now: float, /) -> None:
        """Returns if the token is still good. ``now`` is in seconds since the epoch. Does no I/O, but may wait for what
        is being fetched; never where an event loop runs.

        Raises:
            TokenRevoked: its session has ended, its account's epoch was raised, or it was revoked itself.
            RevocationsUnknown: that cannot be known at the moment, so nobody is let in.
        """


WhenStale: TypeAlias = Literal["refuse", "serve"]
"""What happens to tokens while it is not known what was revoked lately: ``refuse`` answers 503, ``serve`` goes on with
what is known, so that a token revoked meanwhile is let in until it expires. The latter is for those to whom an outage
costs more than that."""


class KnownRevocations:
    """Revocations as a change feed tells them. While ``fresh()`` is false, every token is refused with 503.

    An entry is kept until ``until`` (whole seconds since the epoch): when the last token that it concerns has expired,
    leeway included. One thread may change it while others ask.

    Args:
        fresh: Whether the feed is known up to this moment.
        when_stale: ``serve`` lets tokens in by what is known while ``fresh()`` is false.

    Raises:
        ConfigurationError: ``when_stale`` is neither.
    """

    def __init__(self, *, fresh: Callable[[], bool], when_stale: WhenStale = "refuse") -> None:
        check_when_stale(when_stale)
        self._fresh = fresh
        self._serves_stale = when_stale == "serve"
        self._least = 0
        self._sessions: Final = _Expiring()
        self._tokens: Final = _Expiring()
        self._accounts: Final = _Expiring()
        self._epochs: Final[dict[str, int]] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether the change feed is known up to this moment."""
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
        self._epochs[sub] = max(ver, self._epochs.get(sub, self._least))

    def raise_everything(self, ver: int) -> None:
        """Refuses the tokens of every account with a lower ``ver``: the issuer's global epoch. Never lowered, and never
        forgotten: it is one number."""
        self._least = least = max(ver, self._least)
        for sub, known in self._epochs.items():  # raised as well, so that one look-up tells both
            self._epochs[sub] = max(known, least)

    def forget(self, now: float) -> None:
        """Drops what has passed its time. Costs as much as there is to drop: call it every minute or so."""
        self._sessions.forget(now)
        self._tokens.forget(now)
        for sub in self._accounts.forget(now):
            del self._epochs[sub]

    def check(self, token: AccessToken, _now: float, /) -> None:
        """As `Revocations.check`. A ``ver`` above the known one is good: the token was faster than the feed."""
        if not self._fresh() and not self._serves_stale:
            raise RevocationsUnknown("the change feed is not fresh")
        if token.sid in self._sessions:
            raise TokenRevoked("the session has ended")
        if token.ver < self._epochs.get(token.sub, self._least):
            raise TokenRevoked("the epoch of the account, or of all, was raised")
        if token.jti in self._tokens:
            raise TokenRevoked("the token was revoked")

    def __len__(self) -> int:
        return len(self._sessions) + len(self._tokens) + len(self._epochs)


def check_when_stale(when_stale: str) -> None:
    """Raises ConfigurationError for what is no `WhenStale`."""
    if when_stale not in {"refuse", "serve"}:
        raise ConfigurationError('when_stale is "refuse" or "serve"')


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
