"""Checks for what any storage backend must do. Run them on your own: each is a coroutine that raises AssertionError.

::

    @pytest.mark.parametrize("check", DATABASE_CHECKS, ids=name_of)
    async def test_my_database(check):
        await check(partial(open_my_database, empty_database_url))

A database check takes a function that opens the same empty database, as often as the check needs it. To the backend,
each call is a separate process. A hot check takes such a function for counters.
"""

from typing import Final

from ostiary.testing.conformance.bodies import BODY_CHECKS
from ostiary.testing.conformance.feed import FEED_CHECKS
from ostiary.testing.conformance.hot import HOT_CHECKS
from ostiary.testing.conformance.marks import MARK_CHECKS
from ostiary.testing.conformance.migrations import MIGRATION_CHECKS
from ostiary.testing.conformance.opening import DatabaseCheck, HotCheck, OpenDatabase, OpenHot, name_of
from ostiary.testing.conformance.racing import RACES
from ostiary.testing.conformance.rows import ROW_CHECKS

DATABASE_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    *ROW_CHECKS,
    *BODY_CHECKS,
    *RACES,
    *FEED_CHECKS,
    *MARK_CHECKS,
    *MIGRATION_CHECKS,
)

__all__ = ["DATABASE_CHECKS", "HOT_CHECKS", "DatabaseCheck", "HotCheck", "OpenDatabase", "OpenHot", "name_of"]
