"""POST /auth/password/change: it requires the current password and ends all other sessions."""

import asyncio

import pytest

from tests.core.installation import PASSWORD, eventually, installation, opened, ostiary, tokens_of

NEW = "nine copper kettles hum"


async def change(house, token, current=PASSWORD, new=NEW, **more):
    body = {"current_password": current, "new_password": new, **more}
    return await house.post("/password/change", body, token=token)


async def test_it_ends_the_other_sessions_and_refuses_every_access_token(database_url):
    """D9, I7, S05: at once, here and on another node. This session continues with a refresh."""
    async with installation(database_url) as house:
        person = await house.person()
        mine, other = await house.session(person), await house.session(person)
        bystander = await house.session(await house.person("bob@example.com"))
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as node:
            assert await node.is_let_in(other.access)
            assert (await change(house, mine.access)).status_code == 204
            for token in (mine.access, other.access):
                assert not await house.is_let_in(token)
                await eventually(lambda token=token: node.get("/me", token=token), 401)
            for each in (house, node):
                assert await each.is_let_in(bystander.access)
        assert (await house.refresh(other.refresh)).status_code == 401
        assert await house.is_let_in(tokens_of(await house.refresh(mine.refresh)).access)
        assert (await house.login()).status_code == 401
        assert (await house.login(password=NEW)).status_code == 200
        (event,) = await house.events("accounts.password_changed")
        assert (event["account_id"], event["session_id"]) == (person.id, mine.session_id)
        assert [mail.to for mail in await house.mails() if "password" in mail.subject] == [person.email]


@pytest.mark.parametrize(("current", "new", "status", "code"), [
    ("wrong", NEW, 401, "invalid_credentials"),
    ("", NEW, 401, "invalid_credentials"),
    (PASSWORD, "password", 422, "password_rejected"),
    (PASSWORD, "short", 422, "password_rejected"),
])  # fmt: skip
async def test_a_refused_request_changes_nothing(sqlite_url, current, new, status, code):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        answer = await change(house, tokens.access, current, new)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await house.is_let_in(tokens.access)
        assert (await house.login()).status_code == 200
        assert len(await house.events("accounts.password_change_failed")) == (status == 401)
        assert [mail for mail in await house.mails() if "password" in mail.subject] == []


async def test_a_stolen_access_token_cannot_be_used_to_guess_the_password(sqlite_url):
    """Attempts are counted per account, from any source."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        statuses = [(await change(house, tokens.access, f"guess {number}")).status_code for number in range(11)]
        assert statuses == [401] * 10 + [429]
        assert (await change(house, tokens.access)).status_code == 429
        house.clock.advance(400)
        assert (await change(house, tokens.access)).status_code == 204


@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "refused by the policy"])
async def test_repeated_changes_overload_neither_hashing_nor_mail(sqlite_url, is_accepted):
    """Otherwise each request of a user with their own account would cost two hashes and a mail."""
    async with installation(sqlite_url) as house:
        tokens, current = await house.session(await house.person()), PASSWORD
        for number in range(11):
            new = f"{NEW} {number}" if is_accepted else "short"
            answer = await change(house, tokens.access, current, new)
            if answer.status_code == 204:
                tokens, current = tokens_of(await house.refresh(tokens.refresh)), new
        assert answer.status_code == 429
        assert len(await house.mails()) == (10 if is_accepted else 0)


async def test_of_five_concurrent_changes_one_succeeds(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        several = [await house.session(person) for _ in range(5)]
        answers = await asyncio.gather(
            *(change(house, tokens.access, new=f"{NEW} {n}") for n, tokens in enumerate(several))
        )
        assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401, 401]
        live = await house.rows("select id from sessions where ended_at is null")
        assert len(live) == 1


async def test_it_needs_an_access_token_and_both_passwords(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        assert (await change(house, None)).status_code == 401
        assert (await house.post("/password/change", {"new_password": NEW}, token=tokens.access)).status_code == 422
        assert (await change(house, tokens.access, account_id="acc_other")).status_code == 422, "L13"
        assert (await house.login()).status_code == 200
