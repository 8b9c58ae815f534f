"""Any header with a valid signature. Accepted headers have the expected alg, kid and typ and no forbidden member."""

from ostiary.errors import InvalidToken
from ostiary.jose import KeySet, verify
from ostiary.verifier import ACCESS_TOKEN_TYPE
from tests.fuzz import others
from tests.fuzz.known import SECRET, signed


def check(data: bytes) -> None:
    text = signed(data, b"{}")
    try:
        found = verify(text, KeySet([SECRET]), typ=ACCESS_TOKEN_TYPE)
    except InvalidToken:
        return
    members = others.read(data)
    assert (found.header.alg, found.header.kid) == (members["alg"], members.get("kid"))
    assert members["alg"] == "HS256"
    assert members.get("kid") in {None, "h"}
    assert members["typ"].lower() in {"at+jwt", "application/at+jwt"}
    assert not {"crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc"} & set(members)
