"""A third-party library verifies our access tokens with the keys that the server publishes."""

import jwt
import pytest

from tests.cli.program import Caller, Served


def test_pyjwt_finds_the_key_by_url_and_verifies_the_access_token(tmp_path):
    with Served(tmp_path) as served:
        server = served.ready()
        with server.client() as client:
            token = Caller(client, "ada@example.com").register().login()["access_token"]
        keys = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json")
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=server.url, issuer=server.url)
        assert claims["sub"].startswith("acc_")
        assert claims["roles"] == ["user"]
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(token[:-8] + "AAAAAAAA", key, algorithms=["ES256"], audience=server.url, issuer=server.url)
