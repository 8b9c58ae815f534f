"""Any document as a JWK Set. An accepted set has a limited number of keys with unique ids, all of one kind."""

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey, KeySet
from ostiary.jose.key_set import MAX_KEYS


def check(data: bytes) -> None:
    try:
        keys = KeySet.from_json(data)
    except KeyRejected:
        return
    assert 1 <= len(keys) <= MAX_KEYS
    assert len({key.kid for key in keys}) == len(keys)
    assert len({isinstance(key, HmacKey) for key in keys}) == 1
    algorithms = {key.thumbprint: key.alg for key in keys}
    assert all(algorithms[key.thumbprint] == key.alg for key in keys)
    assert len(keys) + len(keys.skipped) <= MAX_KEYS
    assert all(each.kid is None or each.kid.isprintable() for each in keys.skipped)
