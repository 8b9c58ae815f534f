"""Feed entries about revocations: how they are written, and how they reach the verifier's memory."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.settings import Section, setting
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry, append
from ostiary.verifier import LEEWAY, KnownRevocations
from ostiary.verifier.feed_message import EPOCH_RAISED, EVERYTHING, SESSION_ENDED, TOKEN_REVOKED
from ostiary.verifier.verifier import MAX_LIFETIME

STATUS_SET: Final = "status"
"""Used by status lists only: the bit for tokens that an entry of another kind refuses."""

SERVE: Final = "serve"
REFUSE: Final = "refuse"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RevocationSettings(Section):
    section: ClassVar[str] = "revocations"

    staleness: int = setting(
        "Seconds without a successful read of the change feed after which revocations count as unknown.",
        5,
        least=1,
        most=60,
    )
    policy: str = setting(
        "What happens then: `refuse` answers 503, `serve` goes on with the revocations known so far. Tokens are issued "
        "in neither case.",
        REFUSE,
        choices=(REFUSE, SERVE),
    )


@dataclass(frozen=True, slots=True)
class Revoking(Generic[T]):
    """The return value of a transaction body: its result, and the feed entries to append as the last statement."""

    result: T
    entries: tuple[Entry, ...] = ()


async def transact(ambient: Ambient, body: Callable[[Transaction], Awaitable[Revoking[T]]]) -> T:
    """Runs a transaction body that may revoke something. The feed entries are part of the same commit. When this
    returns, this process already refuses what was revoked. Other processes follow the feed."""

    async def with_feed(tx: Transaction) -> Revoking[T]:
        revoking = await body(tx)
        if revoking.entries:
            await append(tx, revoking.entries, random=ambient.random)
        return revoking

    revoking = await ambient.database.transaction(with_feed)
    apply(ambient.revocations, revoking.entries)
    return revoking.result


def session_ended(session_id: str, *, now: int) -> Entry:
    return Entry(kind=SESSION_ENDED, key=session_id, value=0, until=_last_token_dies(now))


def epoch_raised(account_id: str, epoch: int, *, now: int) -> Entry:
    """From now on, access tokens of the account with a lower ``ver`` are refused."""
    return Entry(kind=EPOCH_RAISED, key=account_id, value=epoch, until=_last_token_dies(now))


def token_revoked(jti: str, *, now: int) -> Entry:
    return Entry(kind=TOKEN_REVOKED, key=jti, value=0, until=_last_token_dies(now))


def status_set(list_number: int, index: int, *, now: int) -> Entry:
    return Entry(kind=STATUS_SET, key=str(list_number), value=index, until=_last_token_dies(now))


def everything_revoked(least: int, *, now: int) -> Entry:
    """From now on, all access tokens of the realm with a ``ver`` below ``least`` are refused."""
    return Entry(kind=EVERYTHING, key="", value=least, until=_last_token_dies(now))


def apply(known: KnownRevocations, entries: Sequence[Entry]) -> None:
    """Applies feed entries to the memory. This is idempotent. Unknown kinds are ignored."""
    for entry in entries:
        if entry.kind == SESSION_ENDED:
            known.end_session(entry.key, until=entry.until // MICROSECONDS)
        elif entry.kind == EPOCH_RAISED:
            known.raise_epoch(entry.key, entry.value, until=entry.until // MICROSECONDS)
        elif entry.kind == TOKEN_REVOKED:
            known.revoke_token(entry.key, until=entry.until // MICROSECONDS)
        elif entry.kind == EVERYTHING:
            known.raise_everything(entry.value)


def _last_token_dies(now: int) -> int:
    # Uses the longest possible lifetime, not the current setting, which may have been longer when a token was issued or
    # on a node that has not been restarted. One second more, because `exp` is in whole seconds.
    return now + (MAX_LIFETIME + LEEWAY + 1) * MICROSECONDS
