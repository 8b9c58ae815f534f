"""Signing in with two steps, and the known attacks on the second step of other systems."""

import asyncio

import pytest

from ostiary.core.plug import Proof
from ostiary.features.totp.factors import CodeBody, Totp
from tests.features.totp.installation import STEP, enrolled, installation, registered


async def test_after_the_password_the_code_is_required_before_a_session_is_issued(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(STEP)
        first = await ada.begin()
        assert first.status_code == 202
        assert first.json() == {
            "next": ["totp", "recovery_code"],
            "attempt": first.json()["attempt"],
            "expires_in": 300,
        }
        second = await ada.finish("totp", ada.app.code(), attempt=first.json()["attempt"])
        assert second.status_code == 200
        me = await world.ask("GET", "/me", token=second.json()["access_token"])
        assert me.json()["amr"] == ["pwd", "otp", "mfa"]
        assert me.json()["account"]["email"] == ada.email


async def test_a_code_signs_in_only_once(database_url):
    """M01: the code that confirmed, the code that was just used, and the codes of earlier steps are spent."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        assert (await ada.finish("totp", ada.app.code())).json()["code"] == "invalid_code"
        assert (await ada.finish("totp", ada.app.code(steps=-1))).status_code == 401
        world.clock.advance(2 * STEP)
        ahead = ada.app.code(steps=1)
        assert (await ada.finish("totp", ahead)).status_code == 200
        for spent in (ahead, ada.app.code(), ada.app.code(steps=-1)):
            assert (await ada.finish("totp", spent)).status_code == 401
        world.clock.advance(2 * STEP)
        assert (await ada.finish("totp", ahead)).status_code == 401, "still inside the window, as the previous step"
        assert (await ada.finish("totp", ada.app.code())).status_code == 200


async def test_only_one_of_twenty_parallel_uses_of_a_code_gets_a_session(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(2 * 3600)  # until the attempt that confirming used is available again
        attempts = [await ada.attempt() for _ in range(20)]
        code = ada.app.code()
        answers = await asyncio.gather(*(ada.finish("totp", code, attempt=attempt) for attempt in attempts))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
        assert await world.rows("select count(*) from sessions where acr = $1", "urn:ostiary:aal:2") == [(1,)]


async def test_only_one_of_twenty_parallel_uses_of_a_recovery_code_gets_a_session(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        attempts = [await ada.attempt() for _ in range(20)]
        code = ada.recovery_codes[0]
        answers = await asyncio.gather(*(ada.finish("recovery-code", code, attempt=attempt) for attempt in attempts))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
        assert (await world.events()).count("totp.recovery_code_used") == 1
        subjects = await world.subjects(2)
        assert subjects.count("A recovery code was used to sign in at auth.example.com") == 1


async def test_a_recovery_code_signs_in_only_once_in_any_spelling(database_url):
    """R11. The mail goes to the stored address."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        typed = ada.recovery_codes[3].upper().replace("-", " ")
        answer = await ada.finish("recovery-code", typed)
        assert answer.status_code == 200
        me = await world.ask("GET", "/me", token=answer.json()["access_token"])
        assert me.json()["amr"] == ["pwd", "otp", "mfa"]
        assert (await ada.finish("recovery-code", ada.recovery_codes[3])).status_code == 401
        await world.subjects(2)
        assert world.mails[-1].to == ada.email
        event = await world.rows(
            "select account_id, outcome, source from audit_events where type = $1", "totp.recovery_code_used"
        )
        assert [tuple(row)[:2] for row in event] == [(me.json()["account"]["id"], "success")]
        assert event[0][2].startswith("10."), "the caller's address"


async def test_recovery_codes_are_offered_until_all_are_used(database_url):
    async with installation(database_url) as world:
        ada = await enrolled(world)
        for code in ada.recovery_codes:
            assert (await ada.finish("recovery-code", code)).status_code == 200
        assert (await ada.begin()).json()["next"] == ["totp"]


@pytest.mark.parametrize("factor", ["totp", "recovery-code"])
async def test_other_texts_and_types_are_refused_as_codes(database_url, factor):
    """G4: even if Python would convert the text to the correct number."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(STEP)
        right = ada.app.code()
        full_width = "".join(chr(0xFF10 + int(digit)) for digit in right)
        attempt = await ada.attempt()
        for text in (f"{right}0", f"{right}\u00b2", f"+{right}", full_width):
            assert (await ada.finish(factor, text, attempt=attempt)).status_code == 401
        for other in (int(right), float(right), [right], {"code": right}, None, True):
            assert (await ada.finish(factor, other, attempt=attempt)).status_code == 422
        assert (await ada.finish("totp", right, attempt=attempt)).status_code == 200, (
            "it is the fifth attempt: values that are not strings were not counted"
        )


async def test_an_attempt_is_not_a_token(database_url):
    """M03 and M05: between the steps nothing can be read, refreshed or enrolled, and no factor can be claimed."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        world.clock.advance(STEP)
        attempt = await ada.attempt()
        for method, path in (("GET", "/me"), ("POST", "/totp"), ("DELETE", "/totp")):
            refused = await world.ask(method, path, token=attempt)
            assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token"), path
        confirm = await world.ask("POST", "/totp/confirm", {"code": ada.app.code()}, token=attempt)
        assert confirm.status_code == 401
        refresh = await world.ask("POST", "/refresh", {"refresh_token": attempt})
        assert refresh.status_code == 401
        claimed = {"attempt": attempt, "code": ada.app.code(), "mfa": True}
        assert (await world.ask("POST", "/login/totp", claimed)).status_code == 422
        assert (await ada.finish("totp", ada.app.code(), attempt=attempt)).status_code == 200
        world.clock.advance(STEP)
        assert (await ada.finish("totp", ada.app.code(), attempt=attempt)).status_code == 401, "it has ended"


async def test_a_code_is_valid_only_for_its_own_account(database_url):
    async with installation(database_url) as world:
        ada, eve = await enrolled(world), await enrolled(world, "eve@example.com")
        world.clock.advance(STEP)
        assert (await ada.finish("totp", eve.app.code())).status_code == 401
        assert (await ada.finish("recovery-code", eve.recovery_codes[0])).status_code == 401


async def test_a_spent_code_is_handled_like_a_wrong_code(database_url):
    """Neither results in a proof, so the rest of the request takes the same time."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        account_id = (await world.rows("select id from accounts"))[0][0]
        for code in (ada.app.code(), ada.app.wrong_code()):
            assert await Totp().finish(world.auth.ambient, account_id, CodeBody(attempt="", code=code)) is None


async def test_a_code_of_a_removed_secret_is_not_accepted_for_the_next_one(database_url):
    """The proof is created before the secret is replaced, and used afterwards."""
    async with installation(database_url) as world:
        ada = await enrolled(world)
        await ada.sign_in_with_code()
        world.clock.advance(2 * STEP)
        ambient = world.auth.ambient
        account_id = (await world.rows("select id from accounts"))[0][0]
        body = CodeBody(attempt="", code=ada.app.code(steps=1))
        proof = await Totp().finish(ambient, account_id, body)
        assert isinstance(proof, Proof)
        assert (await ada.remove()).status_code == 204
        await ada.enrol()
        assert await ambient.database.transaction(proof.consume) is False


async def test_the_database_contains_neither_the_secret_nor_the_recovery_codes(database_url):
    """G1, F9: the secret is sealed and bound to its row, and the recovery codes are hashed."""
    async with installation(database_url) as world:
        ada = await registered(world)
        secret = (await ada.start()).json()["secret"]
        await ada.enrol()
        eve = await enrolled(world, "eve@example.com")
        stored = await world.rows("select sealed_secret from totp_secrets")
        hashes = await world.rows("select code_hash from totp_recovery_codes")
        assert len(stored) == 2
        assert [len(row[0]) for row in hashes] == [32] * 20
        assert not any(secret.encode() in bytes(row[0]) for row in stored)
        details = await world.rows("select detail from audit_events")
        assert not any(code in row[0] for row in details for code in (secret, *ada.recovery_codes))

        await world.auth.ambient.database.execute(
            "update totp_secrets set sealed_secret = (select s.sealed_secret from totp_secrets s"
            " join accounts a on a.id = s.account_id where a.email = $1)",
            eve.email,
        )
        world.clock.advance(STEP)
        moved = await ada.finish("totp", eve.app.code())
        assert moved.status_code == 500, "a sealed secret cannot be opened in another account's row"
        assert (await eve.finish("totp", eve.app.code())).status_code == 200
