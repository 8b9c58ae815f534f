"""`ostiary keys …` shows public keys, and never a private one."""

import json

from ostiary.jose import VerifyingKey
from tests.cli.program import call, run


def test_the_listed_key_is_the_published_one(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    published = json.loads(run("keys", "jwks", folder=tmp_path).stdout)["keys"]
    listed = json.loads(call("keys", "list", "--json", folder=tmp_path).stdout)["keys"]
    assert [(key["kid"], key["alg"], key["state"]) for key in listed] == [(published[0]["kid"], "ES256", "current")]
    assert VerifyingKey.from_jwk(published[0]).kid == listed[0]["kid"]  # it refuses private members
    assert listed[0]["created"].endswith("Z")
    assert listed[0]["kid"] in call("keys", "list", folder=tmp_path).stdout
