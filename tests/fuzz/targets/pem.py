"""Any bytes as key in PEM form, and as HMAC secret: no key that can be read as a public one is taken for a secret."""

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
    assert not readable, "a public key was taken for a secret"
