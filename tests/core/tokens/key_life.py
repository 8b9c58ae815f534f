"""Nodes of one installation that share a clock and have their own keys in memory."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ostiary.core.settings import Section
from ostiary.core.tokens.keys import queries
from ostiary.core.tokens.keys.held import SigningKeys
from ostiary.core.tokens.keys.model import State, Timing
from ostiary.core.tokens.keys.service import tend
from ostiary.jose import KeySet
from ostiary.testing.world import FrozenClock, Outbox
from ostiary.verifier import Verifier
from tests.core.installation import ISSUER, Installation, opened, ostiary

SECOND = 1_000_000


@asynccontextmanager
async def nodes(url: str, *settings: Section, count: int = 1, **top) -> AsyncIterator[list[Installation]]:
    clock, outbox = FrozenClock(), Outbox()
    await ostiary(url, clock, outbox, *settings, **top).migrate()
    async with AsyncExitStack() as stack:
        houses = [ostiary(url, clock, outbox, *settings, **top) for _ in range(count)]
        yield [await stack.enter_async_context(opened(house, clock, outbox)) for house in houses]


class SlowNode:
    """A node that reads changes only when the test calls it."""

    def __init__(self, house: Installation, vault=None):
        ambient = house.ambient
        self.verifier = Verifier(
            keys=KeySet(), issuer=ISSUER, audience=ISSUER, clock=lambda: ambient.clock.now() / SECOND
        )
        self.keys = SigningKeys(
            ambient.database,
            vault or ambient.vault,
            self.verifier,
            clock=ambient.clock,
            timing=Timing.of(ambient.settings),
        )


def timing(house: Installation) -> Timing:
    return Timing.of(house.ambient.settings)


async def keys(house: Installation):
    """(kid, state) of all keys, the newest first."""
    return [(key.kid, key.state) for key in await queries.every(house.ambient.database)]


async def one(house: Installation, state: State) -> str:
    (kid,) = [kid for kid, of in await keys(house) if of is state]
    return kid


async def pass_time(house: Installation, microseconds: int) -> None:
    house.clock.advance(microseconds / SECOND)
    await tend(house.ambient)


async def rotated(house: Installation) -> None:
    """Runs one complete scheduled switch."""
    await pass_time(house, timing(house).lifetime - timing(house).notice)
    await pass_time(house, timing(house).notice)


async def key_events(house: Installation) -> list[tuple[str, str]]:
    found = await house.rows("select type, detail from audit_events where substr(type, 1, 5) = 'keys.' order by at, id")
    return [(type_, detail) for type_, detail in found]
