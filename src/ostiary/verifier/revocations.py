"""Revoked tokens, kept in memory. A check does no I/O and takes constant time.

A revocation names a session, an account's epoch or a token's ``jti``, never the bytes of a token. An ECDSA signature
has a second valid form, so a list of bytes would admit a revoked token again.
"""

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from ostiary.errors import ConfigurationError, RevocationsUnknown, TokenRevoked
from ostiary.verifier.access_token import AccessToken


class Revocations(Protocol):
    """The revocations of one issuer. Verifiers check every token, including tokens that they have verified before."""

    def check(self, token: AccessToken, now: float, /) -> None:
        """Checks that the token is not revoked. ``now`` is in seconds since the epoch.

        Does no I/O itself, but may wait for revocations that are being fetched. Never waits in an event loop.

        Raises:
            TokenRevoked: the session has ended, the account's epoch was raised, or the token itself was revoked.
            RevocationsUnknown: revocations are not known at the moment, so the token is refused.
        """


WhenStale: TypeAlias = Literal["refuse", "serve"]
"""What happens to tokens while recent revocations are unknown.

``refuse`` answers 503. ``serve`` continues with the revocations known so far, so a token revoked during the outage is
accepted until it expires. Use ``serve`` only if an outage costs you more than that.
"""


class KnownRevocations:
    """Revocations from a change feed. While ``fresh()`` is false, every token is refused with 503.

    An entry is kept until ``until`` (whole seconds since the epoch). By then the last token that it concerns has
    expired, including the leeway. One thread may change the entries while others check tokens.

    Args:
        fresh: Returns whether the feed is up to date.
        when_stale: ``serve`` continues with the known revocations while ``fresh()`` is false.

    Raises:
        ConfigurationError: ``when_stale`` is neither ``refuse`` nor ``serve``.
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
        """Whether the change feed is up to date."""
        return self._fresh()

    def end_session(self, sid: str, until: int) -> None:
        """Refuses every token of the session."""
        self._sessions.keep(sid, until)

    def revoke_token(self, jti: str, until: int) -> None:
        """Refuses one token."""
        self._tokens.keep(jti, until)

    def raise_epoch(self, sub: str, ver: int, until: int) -> None:
        """Refuses the account's tokens with an epoch lower than ``ver``.

        Never lowers a known epoch, because an entry may arrive twice.
        """
        self._accounts.keep(sub, until)
        self._epochs[sub] = max(ver, self._epochs.get(sub, self._least))

    def raise_everything(self, ver: int) -> None:
        """Refuses the tokens of all accounts with an epoch lower than ``ver``, the issuer's global epoch.

        The global epoch is never lowered. It is a single number, so it never has to be dropped.
        """
        self._least = least = max(ver, self._least)
        for sub, known in self._epochs.items():  # raised as well, so that a check needs only one look-up
            self._epochs[sub] = max(known, least)

    def forget(self, now: float) -> None:
        """Drops entries that have ended. The cost depends only on how many these are: call it every minute or so."""
        self._sessions.forget(now)
        self._tokens.forget(now)
        for sub in self._accounts.forget(now):
            del self._epochs[sub]

    def check(self, token: AccessToken, _now: float, /) -> None:
        """As `Revocations.check`. A ``ver`` above the known one is valid: the token arrived before the feed entry."""
        if not self._fresh() and not self._serves_stale:
            raise RevocationsUnknown("the change feed is not up to date, so every token is refused until it is")
        if token.sid in self._sessions:
            raise TokenRevoked("sid: the session has ended")
        if token.ver < self._epochs.get(token.sub, self._least):
            raise TokenRevoked("ver: the epoch of the account, or of all accounts, was raised")
        if token.jti in self._tokens:
            raise TokenRevoked("jti: the token was revoked")

    def __len__(self) -> int:
        return len(self._sessions) + len(self._tokens) + len(self._epochs)


def check_when_stale(when_stale: str) -> None:
    """Raises ConfigurationError if ``when_stale`` is not a `WhenStale`."""
    if when_stale not in {"refuse", "serve"}:
        raise ConfigurationError('when_stale must be "refuse" or "serve"')


_BUCKET: Final = 60  # seconds; names that end in the same minute are dropped together, without searching for them


class _Expiring(dict[str, int]):
    """Maps names to the bucket in which they end. Each is kept until its end and at most `_BUCKET` seconds longer."""

    def __init__(self) -> None:
        super().__init__()
        self._names: Final[dict[int, list[str]]] = {}

    def keep(self, name: str, until: int) -> None:
        bucket = until // _BUCKET + 1
        if bucket > self.get(name, 0):
            self[name] = bucket
            self._names.setdefault(bucket, []).append(name)

    def forget(self, now: float) -> list[str]:
        """Drops the buckets that are in the past, and returns the dropped names."""
        gone = []
        for bucket in [bucket for bucket in self._names if bucket * _BUCKET <= now]:
            for name in self._names.pop(bucket):
                # Otherwise the name got a later end. Ends may arrive in any order, because nodes' clocks differ.
                if self.get(name) == bucket:
                    del self[name]
                    gone.append(name)
        return gone
