"""Helpers for your tests and ours: a world with a frozen clock and an outbox, and test suites for storage backends.

No other package imports this one. `world` needs httpx: ``pip install 'ostiary[server,testing]'``.
"""

from ostiary.testing.world import FrozenClock, Outbox, World, world

__all__ = ["FrozenClock", "Outbox", "World", "world"]
