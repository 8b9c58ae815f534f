"""Any bytes as a PEM key and as an HMAC secret. Bytes that can be read as a PEM key are never accepted as a secret."""

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey, SigningKey, VerifyingKey
from tests.fuzz.key_rules import ALGORITHMS, must_come_back


def check(data: bytes) -> None:
    readable = False
    for alg in ALGORITHMS:
        for read in (VerifyingKey.from_pem, SigningKey.from_pem):
            try:
                must_come_back(read(data, alg=alg))
                readable = True
            except KeyRejected:
                pass
    try:
        HmacKey(data, "HS256")
    except KeyRejected:
        return
    assert not readable, "a PEM key was accepted as a secret"
