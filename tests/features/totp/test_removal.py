"""Removing the second factor requires a second factor."""

from tests.features.totp.installation import enrolled, installation


async def test_a_session_with_both_factors_can_remove_the_second(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        await ada.sign_in_with_code()
        assert (await ada.remove()).status_code == 204
        assert (await ada.begin()).status_code == 200, "the password alone signs in again"
        assert await world.rows("select count(*) from totp_recovery_codes") == [(0,)]
        assert (await world.events())[-1] == "totp.removed"
        assert (await world.subjects(2))[-1] == "Two-step sign-in is now off at auth.example.com"
        assert (await ada.remove()).status_code == 404


async def test_a_password_alone_cannot_remove_the_second_factor(database_url):
    """M06: this session was signed in with the password only, a moment before the second factor was set up."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        refused = await ada.remove()
        assert (refused.status_code, refused.json()["code"]) == (401, "insufficient_user_authentication")
        assert 'acr_values="urn:ostiary:aal:2"' in refused.headers["www-authenticate"]
        assert (await ada.begin()).status_code == 202


async def test_an_old_session_cannot_remove_the_second_factor(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        await ada.sign_in_with_code()
        world.clock.advance(301)
        assert (await ada.remove()).status_code == 401
        await ada.sign_in_with_code()
        assert (await ada.remove()).status_code == 204


async def test_a_recovery_code_is_enough_to_move_to_another_device(database_url):
    """The codes of the lost device and its recovery codes are refused afterwards (R11)."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        lost, first, *old = ada.app, *ada.recovery_codes
        ada.token = (await ada.finish("recovery-code", first)).json()["access_token"]
        assert (await ada.remove()).status_code == 204
        await ada.enrol()
        world.clock.advance(30)
        assert (await ada.finish("totp", lost.code())).status_code == 401
        assert (await ada.finish("recovery-code", old[0])).status_code == 401
        assert (await ada.finish("totp", ada.app.code())).status_code == 200
