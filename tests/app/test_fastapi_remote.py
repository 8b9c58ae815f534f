"""A FastAPI service that only knows the issuer's URL."""

import asyncio
import json
import sys
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


class Service(Served):
    """The service in its own process, with a server that knows nothing about Ostiary."""

    command = (sys.executable, "-m", "granian", "--interface", "asgi", "service:app")
    ready_path = "/healthz"

    def __init__(self, folder, *, issuer):
        (folder / "service.py").write_text(SERVICE.format(issuer=issuer))
        super().__init__(folder)


SERVICE = """
import logging
from typing import Annotated

from fastapi import Depends, FastAPI

from ostiary import Principal, Verifier
from ostiary.cli.log import JsonLines
from ostiary.integrations.fastapi import Guard

lines = logging.StreamHandler()
lines.setFormatter(JsonLines())
logging.getLogger("ostiary").setLevel(logging.INFO)
logging.getLogger("ostiary").addHandler(lines)

app = FastAPI()
own = Guard(Verifier.remote("{issuer}", audience="{issuer}", development=True))
other = Guard(Verifier.remote("{issuer}", audience="https://other.example.com", development=True))

@app.get("/healthz")
async def healthz() -> str:
    return "ok"

@app.get("/orders/{{number}}")
async def order(number: str, me: Annotated[Principal, Depends(own())]) -> str:
    return me.account_id

@app.get("/other")
async def foreign(me: Annotated[Principal, Depends(other())]) -> str:
    return me.account_id
"""


def test_a_service_refuses_with_the_answers_of_the_issuer_and_logs_the_reason(tmp_path):
    with Served(tmp_path) as served, served.ready().client() as issuer:
        token = Caller(issuer, "ada@example.com").register().login()["access_token"]
        forged = token[:-6] + "AAAAAA"
        with Service(tmp_path, issuer=served.url) as service, service.ready().client() as client:
            for authorization in ({}, bearer("junk"), bearer(forged), {"authorization": "Bearer"}):
                ours = issuer.get("/auth/me", headers=authorization)
                assert shape(client.get("/orders/secret-7", headers=authorization)) == shape(ours)
            assert client.get("/other", headers=bearer(token)).json()["code"] == "invalid_token"
            assert client.get("/orders/7", headers=bearer(token)).status_code == 200
            assert service.end() == 0
            log = service.err
    refused = [json.loads(line) for line in log.splitlines() if "guard.refused" in line]
    assert [line["reason"] for line in refused] == [
        "missing_credential", "malformed_token", "bad_signature", "malformed_credential", "wrong_audience",
    ]  # fmt: skip
    assert {line["path"] for line in refused} == {"/orders/{number}", "/other"}
    for secret in (token, forged, "secret-7"):
        assert secret not in log


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def shape(answer):
    names = ("content-type", "www-authenticate", "cache-control", "retry-after")
    return answer.status_code, answer.json(), {name: answer.headers.get(name) for name in names}
