"""A FastAPI service that only knows the issuer's URL."""

import asyncio
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI

from ostiary import Principal, Verifier
from ostiary.integrations.fastapi import Guard
from tests.cli.program import Caller, Served


def test_the_first_requests_wait_for_the_keys_and_are_not_refused(tmp_path):
    """If the guard were synchronous, the first request of every process would get 503."""
    with Served(tmp_path) as served:
        server = served.ready()
        with server.client() as client:
            token = Caller(client, "ada@example.com").register().login()["access_token"]
        asyncio.run(call(server.url, token))


async def call(issuer: str, token: str) -> None:
    guard = Guard(Verifier.remote(issuer, audience=issuer, development=True))
    app = FastAPI()

    @app.get("/orders")
    async def orders(me: Annotated[Principal, Depends(guard())]) -> dict[str, str]:
        return {"of": me.account_id}

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example.com") as client:
        headers = {"authorization": f"Bearer {token}"}
        answers = await asyncio.gather(*(client.get("/orders", headers=headers) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert (await client.get("/orders")).status_code == 401
