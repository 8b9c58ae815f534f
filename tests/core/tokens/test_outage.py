"""The database fails while the server runs: requests get 503 without partial effects until it is back."""

import sqlite3

from ostiary.core.tokens.keys import keeper
from tests.core.installation import EMAIL, PASSWORD, eventually, installation, tokens_of
from tests.logged import written


async def asked(house, tokens):
    """One request of each kind that needs the database."""
    return [
        await house.login(),
        await house.register("new@example.com"),
        await house.refresh(tokens.refresh),
        await house.post("/logout", {"refresh_token": tokens.refresh}),
        await house.get("/me", token=tokens.access),
    ]


async def test_without_postgresql_every_request_gets_503_and_later_works_again(shared_postgres_url, postgres_server):
    async with installation(shared_postgres_url) as house:
        tokens = await house.session(await house.person())
        postgres_server.stop()
        try:
            for answer in await asked(house, tokens):
                assert answer.status_code == 503, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                assert set(answer.json()) == {"type", "title", "status", "code"}
                assert int(answer.headers["retry-after"]) >= 1
                for told in (EMAIL, PASSWORD, tokens.refresh, "127.0.0.1", "asyncpg"):
                    assert told not in answer.text
            assert (await house.ask("GET", "/healthz")).status_code == 200
            assert (await house.ask("GET", "/readyz")).status_code == 503
        finally:
            postgres_server.start()
        await eventually(lambda: house.get("/me", token=tokens.access), 200)
        assert tokens_of(await house.refresh(tokens.refresh))
        assert (await house.login()).status_code == 200


async def test_while_another_process_locks_the_sqlite_file_writes_get_503_and_reads_work(sqlite_url):
    async with installation(sqlite_url) as house:
        house.ambient.database._opened[1]._patience = 0.2
        tokens = await house.session(await house.person())
        holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            holder.execute("begin immediate")
            answer = await house.refresh(tokens.refresh)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert await house.is_let_in(tokens.access)
        finally:
            holder.close()
        assert (await house.refresh(tokens.refresh)).status_code == 200


async def test_a_failure_to_tend_the_keys_is_logged_with_its_place_but_without_its_message(
    sqlite_url, monkeypatch, caplog
):
    """P05: a driver's error message may quote a parameter, which may be a private key here."""

    async def fails(_ambient):
        raise ValueError("hunter2")

    async with installation(sqlite_url) as house:
        monkeypatch.setattr(keeper, "tend", fails)
        assert await keeper.KeyKeeper(house.ambient)._tend() < keeper.TEND_SECONDS
    assert "builtins.ValueError" in written(caplog)
    assert "in fails" in written(caplog)
    assert "hunter2" not in written(caplog)
