"""Setting up a second factor: only the owner can do it, and only with a code."""

import asyncio

from ostiary.errors import OutcomeUnknown
from ostiary.features.totp import queries, service
from tests.features.totp.installation import STEP, AuthenticatorApp, enrolled, installation, registered


async def test_enrolling_shows_the_secret_and_confirming_shows_the_recovery_codes(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        started = await ada.start()
        assert started.status_code == 200
        assert set(started.json()) == {"secret", "otpauth_uri", "qr_svg"}
        assert started.json()["secret"] in started.json()["otpauth_uri"]
        assert started.headers["cache-control"] == "no-store"
        app = AuthenticatorApp(started.json()["secret"], world.clock)
        confirmed = await ada.confirm(app.code())
        assert confirmed.status_code == 200
        assert len(set(confirmed.json()["recovery_codes"])) == 10
        assert confirmed.headers["cache-control"] == "no-store"
        assert await world.events() == ["totp.confirmed", "totp.enrolled"]
        assert await world.subjects(1) == ["Two-step sign-in is now on at auth.example.com"]
        assert world.mails[0].to == ada.email


async def test_the_owner_gets_the_mail_if_the_commit_of_the_confirmation_may_have_failed(database_url, monkeypatch):
    """TOTP may be active with recovery codes that nobody has seen. In this test it is."""
    async with installation(database_url) as world:
        ada = await registered(world)
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        database = world.auth.ambient.database
        with monkeypatch.context() as patched:
            patched.setattr(database, "transaction", losing_its_answer(database.transaction))
            assert (await ada.confirm(app.code())).status_code == 503
        assert await world.subjects(1) == ["Two-step sign-in is now on at auth.example.com"]
        assert (await ada.begin()).status_code == 202


def losing_its_answer(transaction):
    async def committed_but_lost(body, **options):
        result = await transaction(body, **options)
        if body.__module__ == service.__name__:  # not the transactions of the counters
            raise OutcomeUnknown("the connection failed during the commit")
        return result

    return committed_but_lost


async def test_before_the_confirmation_the_password_alone_signs_in(database_url):
    """Otherwise a mistake while enrolling would lock the owner out."""
    async with installation(database_url) as world:
        ada = await registered(world)
        await ada.start()
        assert (await ada.begin()).status_code == 200


async def test_a_wrong_code_confirms_nothing(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        refused = await ada.confirm(app.wrong_code())
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_code")
        for other in (int(app.code()), [app.code()], None):
            assert (await ada.confirm(other)).status_code == 422
        assert (await ada.begin()).status_code == 200
        assert (await ada.confirm(app.code())).status_code == 200


async def test_starting_again_replaces_an_unconfirmed_secret(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        first = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        second = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        assert (await ada.confirm(first.code())).status_code == 401
        assert (await ada.confirm(second.code())).status_code == 200


async def test_a_secret_that_was_replaced_in_the_meantime_is_not_confirmed(database_url):
    """The code was correct for the secret that was read, but another secret is stored now."""
    async with installation(database_url) as world:
        ada = await registered(world)
        await ada.start()
        database, now = world.auth.ambient.database, world.clock.now()
        account_id = (await world.rows("select id from accounts"))[0][0]
        seen = await queries.unconfirmed(database, account_id, now=now)
        assert seen is not None
        await ada.start()
        assert await database.transaction(lambda tx: queries.confirm(tx, seen, step=1, now=now)) is False
        assert (await ada.begin()).status_code == 200


async def test_an_active_secret_cannot_be_replaced_or_confirmed_again(database_url):
    """G6: an attacker with the session must not be able to replace the owner's device with another."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        assert (await ada.start()).status_code == 409
        assert (await ada.confirm(ada.app.code())).status_code == 409
        await ada.sign_in_with_code()
        assert (await ada.start()).status_code == 409
        assert await world.rows("select count(*) from totp_recovery_codes") == [(10,)]


async def test_without_an_enrolment_confirming_is_a_conflict(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        assert (await ada.confirm("123456")).status_code == 409


async def test_an_enrolment_expires_after_15_minutes(database_url):
    async with installation(database_url) as world:
        ada, eve = await registered(world), await enrolled(world, "eve@example.com")
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        world.clock.advance(15 * 60)
        await ada.sign_in()
        assert (await ada.confirm(app.code())).status_code == 409
        sweep = next(feature.sweep for feature in world.auth._assembly.features if feature.name == "totp")
        now = world.clock.now()
        await world.auth.ambient.database.transaction(lambda tx: sweep(tx, now))
        left = await world.rows("select a.email from totp_secrets s join accounts a on a.id = s.account_id")
        assert [row[0] for row in left] == [eve.email], "a confirmed secret stays"


async def test_only_one_of_twenty_parallel_confirmations_gets_recovery_codes(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        answers = await asyncio.gather(*(ada.confirm(app.code()) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
        assert await world.rows("select count(*) from totp_recovery_codes") == [(10,)]
        assert (await world.events()).count("totp.confirmed") == 1


async def test_enrolling_needs_a_sign_in_within_the_last_five_minutes(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        world.clock.advance(300)
        assert (await ada.start()).status_code == 200
        world.clock.advance(1)
        refused = await ada.start()
        assert (refused.status_code, refused.json()["code"]) == (401, "insufficient_user_authentication")
        assert 'max_age="300"' in refused.headers["www-authenticate"]
        await ada.sign_in()
        assert (await ada.start()).status_code == 200


async def test_without_an_access_token_every_route_refuses(database_url):
    async with installation(database_url) as world:
        for method, path, body in (
            ("POST", "/totp", None),
            ("POST", "/totp/confirm", {"code": "123456"}),
            ("DELETE", "/totp", None),
        ):
            refused = await world.ask(method, path, body)
            assert (refused.status_code, refused.json()["code"]) == (401, "missing_credential")


async def test_another_site_cannot_enrol_or_remove_with_the_cookies(database_url):
    """M06: cross-site request forgery."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        await ada.sign_in_with_code()
        forged = {"cookie": f"__Host-ostiary_access={ada.token}", "sec-fetch-site": "cross-site"}
        for method, path, body in (("POST", "/totp", None), ("DELETE", "/totp", None)):
            refused = await world.ask(method, path, body, headers=forged)
            assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
        own = {**forged, "sec-fetch-site": "same-origin"}
        assert (await world.ask("DELETE", "/totp", headers=own)).status_code == 204


async def test_a_session_that_was_ended_on_another_node_cannot_change_anything(database_url):
    """The token still verifies, because this node has not read the revocation yet. The transaction checks the row."""
    async with installation(database_url) as world:
        ada, eve = await registered(world), await enrolled(world, "eve@example.com")
        app = AuthenticatorApp((await ada.start()).json()["secret"], world.clock)
        await eve.sign_in_with_code()
        await world.auth.ambient.database.execute("update sessions set ended_at = $1", world.clock.now())
        world.clock.advance(STEP)
        before = await world.events()
        for refused in (await ada.start(), await ada.confirm(app.code()), await eve.remove()):
            assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
        assert await world.events() == before
        assert await world.rows("select count(*) from totp_secrets where confirmed_at is not null") == [(1,)]


async def test_an_account_that_was_disabled_on_another_node_cannot_enrol(database_url):
    async with installation(database_url) as world:
        ada = await registered(world)
        await world.auth.ambient.database.execute("update accounts set disabled_at = $1", world.clock.now())
        assert (await ada.start()).status_code == 401
        assert await world.rows("select count(*) from totp_secrets") == [(0,)]
