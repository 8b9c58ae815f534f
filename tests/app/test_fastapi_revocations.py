"""A FastAPI service with remote revocations: its guard returns 401, or 503 while revocations are unknown."""

from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from ostiary import Principal, Verifier
from ostiary.integrations.fastapi import Guard
from ostiary.verifier import ClientCredentials
from tests.verifier import test_remote_feed, test_remote_status_lists
from tests.verifier.feeds import CLIENT_ID, FEED, SECRET
from tests.verifier.issuers import Issuer
from tests.verifier.material import AUDIENCE, NOW


@asynccontextmanager
async def service(verifier):
    guard = Guard(verifier)
    app = FastAPI()

    @app.get("/orders")
    async def orders(me: Annotated[Principal, Depends(guard())]) -> dict[str, str]:
        return {"of": me.account_id}

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example.com") as client:

        async def call(token):
            return await client.get("/orders", headers={"authorization": f"Bearer {token}"})

        yield call


@pytest.fixture
def issuer():
    with Issuer() as server:
        yield server


async def test_a_guard_uses_the_status_lists_of_the_issuer(issuer):
    setting = test_remote_status_lists.Setting(issuer)
    setting.publish(5)
    verifier = Verifier.remote(issuer.url, audience=AUDIENCE, development=True, clock=lambda: NOW)
    async with service(verifier) as call:
        assert (await call(setting.token(6))).json() == {"of": "acc_1"}
        refused = await call(setting.token(5))
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        unknown = await call(setting.token(6, number=8))
        assert (unknown.status_code, int(unknown.headers["retry-after"]) > 0) == (503, True)


async def test_a_guard_uses_the_feed_of_the_issuer(issuer):
    setting = test_remote_feed.Setting(issuer)
    setting.feed.tell("session", "session-1")
    credentials = ClientCredentials(CLIENT_ID, SECRET)
    with Verifier.remote(
        issuer.url, audience=AUDIENCE, development=True, clock=lambda: NOW, feed=credentials
    ) as verifier:
        async with service(verifier) as call:
            assert (await call(setting.token(sid="s"))).json() == {"of": "acc_1"}
            refused = await call(setting.token())
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


async def test_a_guard_returns_503_while_the_feed_cannot_be_read(issuer):
    setting = test_remote_feed.Setting(issuer)
    issuer.answers.pop(FEED)
    credentials = ClientCredentials(CLIENT_ID, SECRET)
    with Verifier.remote(
        issuer.url, audience=AUDIENCE, development=True, clock=lambda: NOW, feed=credentials
    ) as verifier:
        async with service(verifier) as call:
            unknown = await call(setting.token(sid="s"))
            assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "1")
