"""Ages: what happened in the future is not recent."""

from dataclasses import replace

import pytest

from ostiary.core.accounts.authority import USERS_WRITE, Freshness, check
from ostiary.core.clock import TOLERANCE, is_recent
from ostiary.errors import InsufficientUserAuthentication
from ostiary.settings import TokenSettings
from ostiary.verifier import AAL1
from tests.core.installation import by, installation

HOUR = 3600 * 1_000_000


@pytest.mark.parametrize(
    ("age", "recent"), [(0, True), (9, True), (10, False), (HOUR, False), (-TOLERANCE, True), (-TOLERANCE - 1, False)]
)
def test_a_negative_age_counts_as_expired(age, recent):
    assert is_recent(5 * HOUR - age, now=5 * HOUR, within=10) is recent


@pytest.mark.parametrize(("passed", "fresh"), [(0, True), (300, True), (301, False), (-1, True), (-3600, False)])
async def test_a_sign_in_in_the_future_is_not_a_recent_one(sqlite_url, passed, fresh):
    """After a clock was set back, an old sign-in would otherwise be allowed everything that needs a recent one."""
    async with installation(sqlite_url) as house:
        person = await house.person()
        auth_time = house.ambient.seconds()
        actor = replace(by(person), acr=AAL1, auth_time=auth_time)
        house.clock.advance(passed)
        asked = check(house.ambient, house.ambient.database, actor, USERS_WRITE, own=person.id, fresh=Freshness(300))
        if fresh:
            await asked
        else:
            with pytest.raises(InsufficientUserAuthentication):
                await asked


async def test_events_in_the_future_do_not_suppress_mails(sqlite_url):
    """Ten thefts were mailed while the clock was ahead. The next one is mailed too."""
    async with installation(sqlite_url, TokenSettings(refresh_grace=0)) as house:
        person = await house.person()
        house.clock.advance(3600)
        for _ in range(10):
            tokens = await house.session(person)
            for _ in range(2):
                await house.refresh(tokens.refresh)
        house.clock.advance(-3600)
        tokens = await house.session(person)
        for _ in range(2):
            await house.refresh(tokens.refresh)
        assert len(await house.mails()) == 11
