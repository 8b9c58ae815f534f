"""What a device is called: as the caller wishes, or by what its user agent says."""

import asyncio
import functools
from typing import Final

from ua_parser import BasicResolver, Domain, load_builtins

LONGEST_NAME: Final = 100
"""Characters."""

_NOBODY_KNOWS: Final = "Unknown device"


async def device_name(wanted: str | None, user_agent: str) -> str:
    """The ``wanted`` name of a device, or one such as "Chrome on Windows". Not to be awaited in a transaction.

    Args:
        user_agent: at most 256 characters, as `ostiary.core.plug.Call` has it. For so few, the hundreds of expressions
            that are tried take some milliseconds at worst; the first call takes longer, to compile them.
    """
    if wanted is not None and (name := wanted.strip()):
        return name[:LONGEST_NAME]
    if not user_agent:
        return _NOBODY_KNOWS
    return await asyncio.to_thread(described, user_agent)


def described(user_agent: str) -> str:
    """The program and the system that a user agent names, as far as it does. Parts of it may be the caller's words."""
    parsed = _resolver()(user_agent, Domain.USER_AGENT | Domain.OS)
    named = [part.family for part in (parsed.user_agent, parsed.os) if part is not None]
    return " on ".join(named)[:LONGEST_NAME] or _NOBODY_KNOWS


@functools.cache
def _resolver() -> BasicResolver:
    return BasicResolver(load_builtins())
