"""`Verifier.remote` with a running Ostiary: it needs only what the server publishes."""

import asyncio

import httpx
import pytest

from ostiary import Ostiary, Verifier
from ostiary.errors import InvalidToken
from ostiary.testing import world
from ostiary.verifier import well_known_url
from tests.cli.program import Caller, Served


def test_a_service_needs_only_the_url_to_verify_tokens_of_a_running_server(tmp_path):
    with Served(tmp_path) as served:
        server = served.ready()
        verifier = Verifier.remote(server.url, audience=server.url, development=True)
        verifier.refresh()
        with server.client() as client:
            token = Caller(client, "ada@example.com").register().login()["access_token"]
        assert verifier.verify(token).iss == server.url
        assert asyncio.run(verifier.verify_async(token)).sub == verifier.verify(token).sub
        principal = verifier.authenticate([(b"authorization", f"Bearer {token}".encode())], method="POST")
        assert principal.account_id.startswith("acc_")
        with pytest.raises(InvalidToken):
            Verifier.remote(server.url, audience="https://orders.example.com", development=True).verify(token)


@pytest.mark.parametrize("path", ["", "/tenant"])
async def test_l15_the_metadata_is_complete_and_at_the_url_of_rfc_8414(path, tmp_path):
    issuer = f"http://127.0.0.1:8000{path}"
    auth = Ostiary(f"sqlite:///{tmp_path}/app.db", issuer=issuer, environ={})
    place = f"/.well-known/oauth-authorization-server{path}"
    async with world(auth, auth.asgi) as w:
        answer = await w.http.get(place)
        keys = await w.http.get(answer.json()["jwks_uri"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"].startswith("public, max-age=300")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {
        "issuer": issuer,
        "jwks_uri": well_known_url(issuer, "jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": [],
        "revocation_endpoint": f"{issuer}/auth/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint": f"{issuer}/auth/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "ostiary_feed_endpoint": f"{issuer}/auth/feed",
    }
    assert isinstance(keys, httpx.Response)
    assert [key["use"] for key in keys.json()["keys"]] == ["sig"]
    assert place in auth.openapi()["paths"]
