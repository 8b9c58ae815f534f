"""Reads the feed for a client, waits for news, and signs the message."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from ostiary.core.plug import Ambient, Client
from ostiary.core.tokens.issuing import refuse_when_stale
from ostiary.features.feed.model import MOST_ENTRIES, message
from ostiary.jose import sign
from ostiary.store.feed import Portion, Position, read_after
from ostiary.verifier.feed_message import FEED_TYPE, MAX_FEED_MESSAGE

GATHERING: Final = 0.1
"""Seconds from a request to its answer, unless a message is full. During many revocations, a client then gets ten
messages a second instead of one message for each. A client that has waited longer gets its answer at once."""


async def tell(
    ambient: Ambient, client: Client, after: Position | None, *, wait: int, gone: Callable[[], Awaitable[None]]
) -> str:
    """The signed message that follows a position. Without a position, or after an unknown one, it is a snapshot.

    If there is nothing new, it waits, and then returns a message without entries. Such a message tells the client that
    nothing was revoked.

    Args:
        wait: the number of seconds that the client waits for news.
        gone: returns when the client has disconnected.

    Raises:
        RevocationsUnknown: this process does not know the latest revocations.
        Unavailable: there is no key to sign with, or the database does not answer.
    """
    asked_at = time.monotonic()
    refuse_when_stale(ambient)
    if after is not None and wait:
        await _first_of(_news(ambient, after, wait), gone())
        refuse_when_stale(ambient)
    # skips its own read only if this process has read the feed since the request: an answer is never older than that
    here = ambient.feed.position
    if after is not None and here.is_same(after) and ambient.feed.asked_at >= asked_at:
        portion = Portion(after, here, here, [])
    else:
        portion = await read_after(ambient.database, after, limit=MOST_ENTRIES)
    told = message(
        portion,
        issuer=ambient.settings.issuer,
        client_id=client.id,
        now=ambient.seconds(),
    )
    return sign(msgspec.json.encode(told), ambient.keys.current, typ=FEED_TYPE, longest=MAX_FEED_MESSAGE)


async def _news(ambient: Ambient, after: Position, wait: int) -> None:
    gathered_at = time.monotonic() + GATHERING
    await ambient.feed.wait(after, wait)
    if ambient.feed.position.seq - after.seq < MOST_ENTRIES:
        await asyncio.sleep(gathered_at - time.monotonic())


async def _first_of(*waits: Awaitable[None]) -> None:
    """Returns as soon as one of them returns, and cancels the others."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
