"""What surrounds a call: everything a verb needs that is not in the request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ostiary.core.clock import MICROSECONDS, Clock
from ostiary.core.entropy import Random
from ostiary.core.hashing import Hashing
from ostiary.core.plug.clients import Clients
from ostiary.core.settings import Settings
from ostiary.core.vault import Vault
from ostiary.jose import KeySet, SigningKey
from ostiary.store.database import Database
from ostiary.store.feed import Progress
from ostiary.store.hot import Hot
from ostiary.verifier import KnownRevocations, Verifier

if TYPE_CHECKING:
    from ostiary.core.plug.feature import Ending
    from ostiary.core.plug.sign_in import Check, Factor


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be sent: plain text, to an address that is stored, never to one that was only submitted."""

    to: str
    subject: str
    text: str


class Post(Protocol):
    """Takes mails. Sending happens later and elsewhere: whether it works can be seen neither by answer nor by time."""

    def post(self, mail: Mail) -> None: ...


class Keys(Protocol):
    """The signing keys of this installation, as this process knows them."""

    @property
    def current(self) -> SigningKey:
        """The one that signs. Raises Unavailable where this process has none."""

    @property
    def published(self) -> KeySet:
        """Those that verify, and that others are told."""

    def drop(self, kid: str) -> None:
        """Signs and verifies nothing more with a key that was revoked, at once."""

    async def refresh(self) -> None:
        """Reads the keys again. Raises StoreUnavailable."""


class StatusLists(Protocol):
    """The published status lists, as this process knows them."""

    @property
    def size(self) -> int:
        """How many entries each has: a power of two."""

    async def signed(self, number: int) -> str | None:
        """A list as a Status List Token, or None where there is no such list. Raises Unavailable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ambient:
    settings: Settings
    clock: Clock
    random: Random
    database: Database
    hot: Hot
    vault: Vault
    hashing: Hashing
    mail: Post
    keys: Keys
    clients: Clients
    verifier: Verifier
    revocations: KnownRevocations
    feed: Progress
    status_lists: StatusLists
    served: frozenset[str]
    """The paths under the prefix that some slice serves."""
    factors: "tuple[Factor, ...]"
    checks: "tuple[Check, ...]"
    endings: "tuple[Ending, ...]"

    def now(self) -> int:
        """Microseconds since the epoch."""
        return self.clock.now()

    def seconds(self) -> int:
        """Whole seconds since the epoch: a NumericDate (RFC 7519 §2)."""
        return self.clock.now() // MICROSECONDS
