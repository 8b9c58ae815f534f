"""The messages of an issuer's signed revocation feed: their content and their order.

No clock, no I/O. A message lists what was revoked between two numbers of the issuer's change feed. A verifier that has
applied consecutive messages knows that it has missed no revocation.
"""

from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct

from ostiary.errors import ClaimRejected, MalformedToken
from ostiary.jose import KeySet, strict_json, verify
from ostiary.verifier.access_token import Identifier, Seconds
from ostiary.verifier.claims import convert_claims

FEED_TYPE: Final = "ostiary-feed+jwt"
FEED_MEDIA_TYPE: Final = "application/jwt"  # RFC 7519 §10.3.1
MAX_FEED_MESSAGE: Final = 256 * 1024  # characters; a thousand entries take about half of that

# The kinds of entries, here and in the issuer's own change feed. Verifiers ignore other kinds.
SESSION_ENDED: Final = "session"
EPOCH_RAISED: Final = "epoch"
TOKEN_REVOKED: Final = "token"  # noqa: S105 — a kind of entry
EVERYTHING: Final = "everything"
KEY_REVOKED: Final = "key_revoked"

NODES_DIFFER: Final = 2  # seconds by which the clocks of an issuer's nodes may differ; they round to whole seconds

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class FeedEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One revocation. ``kind`` defines the meaning of ``key`` and ``value``.

    The entry may be dropped at ``until`` (seconds since the epoch).
    """

    kind: str
    key: str
    value: _Number
    until: _Number


class FeedMessage(Struct, frozen=True, kw_only=True):
    """The revocations after the number ``previous`` and up to ``current``. A message from 0 on is a snapshot.

    ``mark`` and ``previous_mark`` are the marks of ``current`` and ``previous``. After a failover of the issuer's
    database that lost entries, the same numbers have other marks. An older issuer sends none.

    If ``more`` is true, the issuer already has further entries. Request them immediately.
    """

    iss: Identifier
    aud: Identifier
    iat: Seconds
    generation: _Number
    previous: _Number
    current: _Number
    more: bool
    entries: tuple[FeedEntry, ...]
    mark: _Number | None = None
    previous_mark: _Number | None = None


def verify_feed_message(token: str, keys: KeySet, *, issuer: str, client_id: str) -> FeedMessage:
    """Verifies a message that ``issuer`` signed for this client. `FeedProgress` checks whether it is the next one.

    Raises:
        InvalidToken: the message is not valid. The subclass says why.
    """
    message = _read(verify(token, keys, typ=FEED_TYPE, longest=MAX_FEED_MESSAGE).payload)
    if message.iss != issuer:
        raise ClaimRejected("iss: the feed message is from another issuer")
    if message.aud != client_id:
        raise ClaimRejected("aud: the feed message is for another client")
    counted = message.current - message.previous
    # fewer entries than numbers are not a gap: some kinds of entries are not for verifiers
    if counted < len(message.entries) or (message.more and counted < 1):
        raise ClaimRejected("previous, current: the numbers of the feed message do not match its entries")
    return message


class Position(NamedTuple):
    """A position in a feed. The generation changes when the issuer's database is restored from a backup."""

    generation: int
    number: int
    mark: int | None = None

    def __str__(self) -> str:
        """As the issuer expects it in a request."""
        return ".".join(str(part) for part in self if part is not None)


class FeedProgress:
    """Tracks how far the feed was read, and checks that a message is the next one.

    Args:
        leeway: Seconds by which the issuer's clock may differ from ours.
    """

    def __init__(self, *, leeway: int) -> None:
        self._leeway = leeway
        self._latest = 0  # iat of the last valid message
        self._furthest = Position(0, 0)  # the last position at which the issuer had nothing more
        self.position: Position | None = None
        """None: the next message must be a snapshot."""

    def check(self, message: FeedMessage, *, asked_at: float, now: float) -> None:
        """Checks that the message answers a request made at ``asked_at`` and continues the messages so far.

        Both times are in seconds since the epoch.

        Raises:
            ClaimRejected: the message is replayed or from the future, leaves a gap, or goes backwards.
        """
        if not asked_at - self._leeway <= message.iat <= now + self._leeway:
            raise ClaimRejected("iat: the feed message was not issued between the request and now: check the clocks")
        if message.iat < self._latest - NODES_DIFFER:
            raise ClaimRejected("iat: the feed message is older than the last one")
        start = Position(message.generation, message.previous, message.previous_mark)
        if message.previous != 0 and self.position != start:
            raise ClaimRejected("previous: the feed message does not continue the last one")
        furthest = self._furthest
        if not message.more and message.generation == furthest.generation and message.current < furthest.number:
            raise ClaimRejected("current: the feed went backwards")

    def advance(self, message: FeedMessage) -> None:
        """Records that a checked message was applied. Call it after applying, so that no message is lost in between."""
        self._latest = max(message.iat, self._latest)
        self.position = Position(message.generation, message.current, message.mark)
        if not message.more:
            self._furthest = self.position

    def retreat(self) -> None:
        """After the issuer refused the position: without its mark, which an older server of the issuer does not know,
        and if it has none, a snapshot. With older and newer servers, a long snapshot would not end otherwise."""
        has_mark = self.position is not None and self.position.mark is not None
        self.position = self.position._replace(mark=None) if self.position is not None and has_mark else None

    def restart(self) -> None:
        """Starts again with a snapshot."""
        self.position = None


def _read(payload: bytes) -> FeedMessage:
    try:
        claims = strict_json.loads_object(payload)
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
    return convert_claims(claims, FeedMessage)
