"""The environment of a call: everything that a function needs and that is not in the request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ostiary.core.clock import MICROSECONDS, Clock
from ostiary.core.entropy import Random
from ostiary.core.hashing import Hashing
from ostiary.core.plug.clients import Clients
from ostiary.core.plug.mail import Post
from ostiary.core.plug.profile import Profile
from ostiary.core.plug.sign_in import Check, Factor
from ostiary.core.settings import Settings
from ostiary.core.vault import Vault
from ostiary.jose import KeySet, SigningKey
from ostiary.store.database import Database, Reader, Transaction
from ostiary.store.feed import Progress
from ostiary.store.hot import Hot
from ostiary.verifier import KnownRevocations, Verifier

Ending: TypeAlias = Callable[[Transaction, str], Awaitable[None]]
"""Removes the data that a slice keeps for a session, in the transaction that ends the session."""

DeviceNames: TypeAlias = Callable[[Reader, str], Awaitable[Mapping[str, str]]]
"""The names of an account's devices, by device id. The list of sessions shows them."""


class Keys(Protocol):
    """The signing keys of this installation, as this process knows them."""

    @property
    def current(self) -> SigningKey:
        """The key that signs. Raises Unavailable if this process has none."""

    @property
    def published(self) -> KeySet:
        """The keys that verify. They are published to other services."""

    def drop(self, kid: str) -> None:
        """Stops signing and verifying with a revoked key at once."""

    async def refresh(self) -> None:
        """Reads the keys again. Raises StoreUnavailable."""


class StatusLists(Protocol):
    """The published status lists, as this process knows them."""

    @property
    def size(self) -> int:
        """The number of entries of each list, a power of two."""

    async def signed(self, number: int) -> str | None:
        """A list as a Status List Token. None if there is no such list. Raises Unavailable."""


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
    former_tokens_until: int
    """Until then, refresh tokens are issued in the format that the version before this one can read. Microseconds since
    the epoch."""
    served: frozenset[str]
    """The paths under the prefix that the installed slices serve."""
    factors: "tuple[Factor[Ambient], ...]"
    checks: "tuple[Check[Ambient], ...]"
    endings: tuple[Ending, ...]
    device_names: tuple[DeviceNames, ...]
    profile: Profile[Any] | None
    """The application's own account fields, if it declares a class for them."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        return self.clock.now()

    def seconds(self) -> int:
        """Whole seconds since the epoch: a NumericDate (RFC 7519 §2)."""
        return self.clock.now() // MICROSECONDS
