"""The WebSocket example and its test in docs/integrations/fastapi.md."""

import re
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, WebSocket

from ostiary import Ostiary, Principal
from ostiary.integrations.fastapi import Guard
from tests.app.test_fastapi_websockets import Server, signed_in

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The names that the examples define, with an app for them."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "integrations" / "fastapi.md").read_text()
    example, test = re.findall(r"```python\n(.*?)```", text.split("## WebSockets")[1], re.DOTALL)[:2]
    auth = Ostiary("sqlite:///app.db", environ={})
    app = FastAPI()
    app.add_middleware(auth.middleware)
    names = {"app": app, "auth": auth, "guard": Guard(auth)}
    names |= {"Annotated": Annotated, "Depends": Depends, "Principal": Principal, "WebSocket": WebSocket}
    exec(example + test, names)
    return names


async def test_the_documented_socket_raises_nothing_when_the_client_leaves(page):
    async with signed_in(page["app"], page["auth"]) as (_w, _user, bearer):
        server = Server(page["app"], "/live", bearer)
        assert (await server.next())["type"] == "websocket.accept"
        server.send("hello")
        assert (await server.next())["text"] == "hello"
        await server.leave()
        assert server.task.exception() is None


def test_the_documented_test_of_a_refusal_passes(page):
    page["test_a_socket_needs_a_token"]()
