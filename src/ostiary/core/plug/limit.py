"""Counting against a rate limit. This is the only place that computes how long to wait."""

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug.ambient import Ambient
from ostiary.errors import RateLimited
from ostiary.store.hot import Rate


async def count(ambient: Ambient, key: str, rate: Rate) -> None:
    """Counts one request for ``key``. Raises RateLimited, with the whole seconds until the next one is allowed."""
    wait = await ambient.hot.take(key, rate, now=ambient.now())
    if wait:
        raise RateLimited(key, retry_after=-(-wait // MICROSECONDS))
