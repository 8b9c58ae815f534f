"""Names of devices: the one that the client chose, or one derived from the user agent."""

import asyncio
import functools
from typing import Final

from ua_parser import BasicResolver, Domain, load_builtins

LONGEST_NAME: Final = 100
"""Characters."""

_NOBODY_KNOWS: Final = "Unknown device"


async def device_name(wanted: str | None, user_agent: str) -> str:
    """The ``wanted`` name of a device, or one such as "Chrome on Windows". Do not await this in a transaction.

    Args:
        user_agent: at most 256 characters, as in `ostiary.core.plug.Call`. With this length, matching the hundreds of
            regular expressions takes a few milliseconds at worst. The first call takes longer because it compiles them.
    """
    if wanted is not None and (name := wanted.strip()):
        return name[:LONGEST_NAME]
    if not user_agent:
        return _NOBODY_KNOWS
    return await asyncio.to_thread(described, user_agent)


def described(user_agent: str) -> str:
    """The browser and the operating system that a user agent names, if any. The client controls parts of this text."""
    parsed = _resolver()(user_agent, Domain.USER_AGENT | Domain.OS)
    named = [part.family for part in (parsed.user_agent, parsed.os) if part is not None]
    return " on ".join(named)[:LONGEST_NAME] or _NOBODY_KNOWS


@functools.cache
def _resolver() -> BasicResolver:
    return BasicResolver(load_builtins())
