"""Where the time of a verification over the bare primitive goes.

Each step is measured alone, in a loop of its own. Together the steps take less than the difference to the primitive:
OpenSSL has filled the processor's caches with its tables by then, so the same Python code waits for memory.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from _tokens.contenders import primitive, split
from _tokens.curves import uncached
from _tokens.material import our_public_key
from _tokens.rounds import batch_of, medians

from ostiary.jose import VerifyingKey, base64url
from ostiary.verifier import AccessToken

Step = dict[str, float]
"""step → microseconds; "times raw" is a ratio"""

_read: Final[Callable[[bytes], AccessToken]] = msgspec.json.Decoder(AccessToken).decode
_write: Final = msgspec.json.Encoder().encode
_ROUNDS: Final = 15


def steps_over_raw(algorithm: str, tokens: list[str], rounds: int) -> Step:
    raw, key = primitive(algorithm), our_public_key(algorithm)
    pairs = [split(token, algorithm) for token in tokens]
    payloads = [_segments(token)[0] for token in tokens]
    claims = [_read(payload) for payload in payloads]
    found = medians(
        {
            "raw": batch_of(lambda: pairs, raw.verify),
            "Ostiary": uncached([key], tokens),
            "base64": batch_of(lambda: tokens * _ROUNDS, _segments),
            "read": batch_of(lambda: payloads * _ROUNDS, _read),
            "write": batch_of(lambda: claims * _ROUNDS, _write),
            "all": uncached([_trusting(key)], tokens),
        },
        rounds=rounds,
    )
    over = found["Ostiary"] - found["raw"]
    steps = found["base64"] + found["read"] + found["write"]
    return {
        "raw": found["raw"],
        "Ostiary": found["Ostiary"],
        "times raw": found["Ostiary"] / found["raw"],
        "over raw": over,
        "- split, decode base64": found["base64"],
        "- read the claims": found["read"],
        "- no name twice: write them again": found["write"],
        "- header, kind, issuer, audience, times, revocations, cache": found["all"] - steps,
        "- form of the signature, and waiting for memory after OpenSSL": over - found["all"],
    }


def _segments(token: str) -> tuple[bytes, bytes]:
    message, _, signature = token.encode("ascii").rpartition(b".")
    return base64url.decode(message.partition(b".")[2]), base64url.decode(signature)


def _trusting(key: Any) -> VerifyingKey:
    """The same key without its signature check. What remains of a verification is everything else."""
    trusting = VerifyingKey.from_jwk(key.to_jwk())
    trusting.matches = lambda _signature, _message: True
    return trusting
