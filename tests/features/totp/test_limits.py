"""Guessing codes: there is one count per account, across attempts and sources (M02, E3, E5, E9, G5)."""

import asyncio

from tests.features.totp.installation import STEP, AuthenticatorApp, enrolled, installation, registered

BURST = 20
COMES_BACK = 24 * 3600 // BURST


async def use_up(person):
    """Sends wrong codes, five per attempt and each from a new address, until the limit is reached."""
    statuses = []
    for number in range(BURST):
        if number % 5 == 0:
            attempt = await person.attempt()
        statuses.append((await person.finish("totp", person.app.wrong_code(number), attempt=attempt)).status_code)
    assert statuses == [401] * BURST


async def test_after_twenty_wrong_codes_even_the_right_code_is_rate_limited(database_url):
    """A new attempt, a new address and the right password reset nothing."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(COMES_BACK)  # confirming used one attempt
        await use_up(ada)
        refused = await ada.finish("totp", ada.app.code())
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == str(COMES_BACK)
        world.clock.advance(COMES_BACK - 1)
        assert (await ada.finish("totp", ada.app.code())).status_code == 429
        world.clock.advance(1)
        assert (await ada.finish("totp", ada.app.code())).status_code == 200


async def test_guessing_codes_does_not_block_recovery_codes(database_url):
    """A sign-in with a recovery code does not allow more guesses of codes."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(COMES_BACK)
        await use_up(ada)
        assert (await ada.finish("recovery-code", ada.recovery_codes[0])).status_code == 200
        assert (await ada.finish("totp", ada.app.wrong_code())).status_code == 429


async def test_parallel_guesses_are_counted_too(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(COMES_BACK)
        attempts = [await ada.attempt() for _ in range(10)]
        guesses = [(attempt, ada.app.wrong_code(number)) for number in range(4) for attempt in attempts]
        answers = await asyncio.gather(*(ada.finish("totp", code, attempt=attempt) for attempt, code in guesses))
        assert sorted(answer.status_code for answer in answers) == [401] * BURST + [429] * BURST


async def test_an_attacker_with_the_password_cannot_lock_the_owner_out(database_url):
    """After the TOTP attempts are used up and a hundred wrong recovery codes, a correct one still signs in (E5)."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(COMES_BACK)
        await use_up(ada)
        for number in range(100):
            if number % 5 == 0:
                attempt = await ada.attempt()
            assert (await ada.finish("recovery-code", "a" * 24, attempt=attempt)).status_code == 401
        assert (await ada.finish("recovery-code", ada.recovery_codes[0])).status_code == 200


async def test_recovery_codes_are_limited_per_source(database_url):
    """This is the core's limit for later steps. It bounds the work."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        attempts = [await ada.attempt() for _ in range(3)]
        guess = {"code": "a" * 24}
        statuses = [
            (
                await world.ask(
                    "POST", "/login/recovery-code", {"attempt": attempts[number // 5], **guess}, source="192.0.2.1"
                )
            ).status_code
            for number in range(11)
        ]
        assert statuses == [401] * 10 + [429]


async def test_correct_codes_do_not_count_against_the_limit(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        for _ in range(BURST + 2):
            await ada.sign_in_with_code()
        await use_up_less_one(ada)


async def use_up_less_one(person):
    """Confirming used one attempt, and correct codes used none."""
    for number in range(BURST - 1):
        if number % 5 == 0:
            attempt = await person.attempt()
        assert (await person.finish("totp", person.app.wrong_code(number), attempt=attempt)).status_code == 401


async def test_confirming_is_limited_by_the_same_count(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        wrong = [(await ada.confirm(app.wrong_code(number))).status_code for number in range(BURST)]
        assert wrong == [401] * BURST
        refused = await ada.confirm(app.code())
        assert (refused.status_code, refused.headers["retry-after"]) == (429, str(COMES_BACK))


async def test_confirming_without_an_enrolment_does_not_use_up_attempts(database_url):
    """The refusal comes before the count."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        for _ in range(BURST + 1):
            assert (await ada.confirm("000000")).status_code == 409
        world.clock.advance(STEP)
        assert (await ada.finish("totp", ada.app.code())).status_code == 200


async def test_starting_an_enrolment_is_limited(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        assert [(await ada.start()).status_code for _ in range(11)] == [200] * 10 + [429]
