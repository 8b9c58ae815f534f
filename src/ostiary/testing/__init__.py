"""Helpers for your tests and ours: a world with a frozen clock and an outbox, and suites for storage backends.

No other part imports it. `world` needs httpx: ``pip install 'ostiary[server,testing]'``.
"""

from ostiary.testing.world import FrozenClock, Outbox, World, world

__all__ = ["FrozenClock", "Outbox", "World", "world"]
