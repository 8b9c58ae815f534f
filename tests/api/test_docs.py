"""The examples in docs/python.md run, and the example app works as documented."""

import re

import pytest

from examples import notes_app
from ostiary.testing import world
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_an_example_on_the_page_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(BLOCKS[number], f"example {number}", "exec"), names)
    if "main" in names:
        await names["main"]()


def test_the_page_names_every_method_of_the_api():
    from tests.architecture.test_doors import OF_THE_OBJECT, VERBS

    missing = [verb for verb in VERBS.keys() - OF_THE_OBJECT if f"`{verb}(" not in PAGE]
    assert missing == []


async def test_the_example_app():
    async with world(notes_app.auth, notes_app.app) as w:
        person = {"email": "ada@example.com", "password": "seven purple umbrellas sing"}
        answer = await w.http.post("/auth/register", json={**person, "profile": {"nickname": "Ada"}})
        assert answer.status_code == 202
        ada = await w.http.post("/auth/login", json=person)
        own = {"authorization": f"Bearer {ada.json()['access_token']}"}
        assert (await w.http.get("/notes", headers=own)).json() == {"notes of": "Ada"}
        assert (await w.http.get("/reports", headers=own)).status_code == 403
        moderator, admin = await w.login_as(role="moderator"), await w.login_as(role="admin")
        assert (await moderator.get("/reports")).status_code == 200
        account = await notes_app.auth.accounts.by_email("ada@example.com")
        assert account.profile == notes_app.Profile(nickname="Ada")
        path = f"/people/{account.id}/disable"
        assert (await moderator.post(path)).status_code == 403
        assert (await admin.post(path)).json() == {"disabled": True}
        assert (await w.http.get("/notes", headers=own)).status_code == 401
        assert notes_app.welcomed == ["ada@example.com"]
