"""The messages of an issuer's signed feed: what they say, and which one may follow which.

Pure: no clock, no I/O. A message tells what was revoked after one number of the issuer's change feed and up to another,
so that whoever has applied all of them knows that nothing is missing.
"""

from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import ClaimRejected, MalformedToken
from ostiary.jose import KeySet, strict_json, verify
from ostiary.verifier.access_token import Identifier, Seconds

FEED_TYPE: Final = "ostiary-feed+jwt"
FEED_MEDIA_TYPE: Final = "application/jwt"  # RFC 7519 §10.3.1
MAX_FEED_MESSAGE: Final = 256 * 1024  # characters; a thousand entries are about half of it

# The kinds of entries, here and in an issuer's own change feed: a verifier takes no notice of any other
SESSION_ENDED: Final = "session"
EPOCH_RAISED: Final = "epoch"
TOKEN_REVOKED: Final = "token"  # noqa: S105 — a kind of entry
EVERYTHING: Final = "everything"
KEY_REVOKED: Final = "key_revoked"

NODES_DIFFER: Final = 2  # seconds by which the clocks of an issuer's nodes may differ, since they count whole ones

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class FeedEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One revocation: ``kind`` says what ``key`` and ``value`` are, ``until`` (seconds) when it may be forgotten."""

    kind: str
    key: str
    value: _Number
    until: _Number


class FeedMessage(Struct, frozen=True, kw_only=True):
    """What was revoked after the number ``previous`` and up to ``current``. From 0 on it is all there is: a snapshot.

    ``more``: the issuer has further entries already, which are to be asked for at once.
    """

    iss: Identifier
    aud: Identifier
    iat: Seconds
    generation: _Number
    previous: _Number
    current: _Number
    more: bool
    entries: tuple[FeedEntry, ...]


def verify_feed_message(token: str, keys: KeySet, *, issuer: str, client_id: str) -> FeedMessage:
    """The message that ``issuer`` has signed for this client. Whether it is the next one, `FeedProgress` knows.

    Raises:
        InvalidToken: one of its family.
    """
    message = _read(verify(token, keys, typ=FEED_TYPE, longest=MAX_FEED_MESSAGE).payload)
    if message.iss != issuer or message.aud != client_id:
        raise ClaimRejected("a feed message of another issuer, or for another client")
    counted = message.current - message.previous
    # fewer entries than numbers are no gap: some kinds are not for verifiers
    if counted < len(message.entries) or (message.more and counted < 1):
        raise ClaimRejected("a feed message whose numbers do not fit its entries")
    return message


class Position(NamedTuple):
    """How far a feed was read. The generation changes when the issuer's database was restored from a backup."""

    generation: int
    number: int


class FeedProgress:
    """How far the feed was read, and so which message is the next one.

    Args:
        leeway: Seconds by which the issuer's clock may differ from ours.
    """

    def __init__(self, *, leeway: int) -> None:
        self._leeway = leeway
        self._latest = 0  # iat of the last good message
        self._furthest = Position(0, 0)  # the last position at which there was nothing more
        self.position: Position | None = None
        """None: the next message has to be a snapshot."""

    def check(self, message: FeedMessage, *, asked_at: float, now: float) -> None:
        """Returns if the message is the answer to a question of ``asked_at``, and continues what is known. Both times
        are in seconds since the epoch.

        Raises:
            ClaimRejected: an old message shown again, one of the future, a gap, or a feed that went backwards.
        """
        if not asked_at - self._leeway <= message.iat <= now + self._leeway:
            raise ClaimRejected("a feed message of another time")
        if message.iat < self._latest - NODES_DIFFER:
            raise ClaimRejected("a feed message from before the last one")
        if message.previous != 0 and self.position != (message.generation, message.previous):
            raise ClaimRejected("a feed message that does not continue the last one")
        reached = Position(message.generation, message.current)
        if not message.more and reached.generation == self._furthest.generation and reached < self._furthest:
            raise ClaimRejected("a feed that went backwards")

    def advance(self, message: FeedMessage) -> None:
        """To be called when a message that was checked has been applied: after, so that nothing is lost in between."""
        self._latest = max(message.iat, self._latest)
        self.position = Position(message.generation, message.current)
        if not message.more:
            self._furthest = self.position

    def restart(self) -> None:
        """Has everything told again, by a snapshot."""
        self.position = None


def _read(payload: bytes) -> FeedMessage:
    try:
        return msgspec.convert(strict_json.loads_object(payload), FeedMessage)
    except msgspec.ValidationError:
        raise ClaimRejected("a claim of the feed message is missing or has the wrong type") from None
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
