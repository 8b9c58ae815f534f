"""Any JSON as a key. An accepted key survives a round trip through its JWK and verifies only what it signed."""

import json

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey, SigningKey, VerifyingKey
from tests.fuzz.key_rules import ALGORITHMS, must_come_back


def check(data: bytes) -> None:
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        return
    for alg in (None, "HS256", *ALGORITHMS):
        for kind in (HmacKey, SigningKey, VerifyingKey):
            try:
                key = kind.from_jwk(members, alg=alg)
            except KeyRejected:
                continue
            must_come_back(key)
