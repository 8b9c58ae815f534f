"""Measures how the cost depends on token size, number of keys, an attacker's garbage, and the imported module."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Final

import joserfc.jwk
import joserfc.jwt
import msgspec
from _tokens.contenders import libraries
from _tokens.material import CLAIMS, ISSUER, SECRET, fresh, issue, many_claims, our_public_key
from _tokens.rounds import Batch, batch_of, medians

from ostiary.jose import MAX_TOKEN, HmacKey, SigningKey
from ostiary.verifier import KnownRevocations, Verifier

SIZES: Final = (0.3, 1, 2, 4, 8, 16)  # KiB
KEYS: Final = (1, 10, 100)
GARBAGE: Final = 1_000_000  # characters
BATCH: Final = 20
MODULES: Final = {
    "ostiary.jose": "ostiary.jose", "ostiary.verifier": "ostiary.verifier", "PyJWT": "jwt", "joserfc": "joserfc.jwt",
    "python-jose": "jose.jwt", "jwcrypto": "jwcrypto.jwt",
}  # fmt: skip

SHORT_KEY: Final = HmacKey(SECRET, "HS256", kid="1")  # the shortest header, for the smallest token

Curve = dict[str, list[float]]
"""contender → one value per point"""


def our_verifier(keys: Any) -> Verifier:
    return Verifier(keys=keys, issuer=ISSUER, audience=ISSUER, revocations=KnownRevocations(fresh=lambda: True))


def uncached(keys: Any, tokens: list[str]) -> Batch:
    """Verifies tokens that are not cached with a header that is cached, as in a running service."""
    verifier = our_verifier(keys)

    def forget() -> list[str]:
        verifier.replace_keys(keys)
        verifier.verify(tokens[0])
        return fresh(tokens[1:])

    return batch_of(forget, verifier.verify)


def cached(keys: Any, tokens: list[str]) -> Batch:
    """Verifies cached tokens. Signature and types are cached. Times, revocations and epoch are checked again."""
    verifier = our_verifier(keys)
    for token in tokens:
        verifier.verify(token)
    # verifying each token only once would be too fast to measure
    return batch_of(lambda: fresh(tokens * 10), verifier.verify)


def by_size(rounds: int) -> Curve:
    """Microseconds to verify an HS256 token for each of `SIZES`. A long ``scope`` pads the token to its size."""
    curve: Curve = {}
    for size in SIZES:
        tokens = _tokens_of(int(size * 1024))
        batches = {"Ostiary": uncached([SHORT_KEY], tokens), "Ostiary, cached": cached([SHORT_KEY], tokens)}
        _add(curve, medians(batches | _library_batches(tokens, "PyJWT", "joserfc"), rounds=rounds))
    return curve


def _library_batches(tokens: list[str], *names: str) -> dict[str, Batch]:
    made = libraries("HS256")
    return {name: batch_of(lambda: fresh(tokens), made[name].verify) for name in names}


def _tokens_of(characters: int) -> list[str]:
    """Returns tokens with that number of characters or a few fewer. The ids are short, for the smallest size."""
    short = msgspec.structs.replace(CLAIMS, sub="acc_1", sid="1", client_id="1", roles=(), amr=(), acr="1")
    made = []
    for number in range(BATCH):
        claims = msgspec.structs.replace(short, jti=f"{number:02}")
        missing = (characters - len(issue(claims, SHORT_KEY))) * 3 // 4
        made.append(issue(msgspec.structs.replace(claims, scope="s" * max(0, missing - 1)), SHORT_KEY))
    return made


def by_keys(rounds: int) -> Curve:
    """Microseconds to verify an ES256 token, for each number of keys in `KEYS`. The token names the last key."""
    every = [SigningKey.generate("ES256") for _ in range(max(KEYS))]
    theirs = [joserfc.jwk.ECKey.import_key(key.public.to_jwk()) for key in every]
    curve: Curve = {}
    for count in KEYS:
        tokens = [issue(claims, every[count - 1]) for claims in many_claims(BATCH)]
        key_set = joserfc.jwk.KeySet(theirs[:count])
        batches = {
            "Ostiary": uncached([key.public for key in every[:count]], tokens),
            "joserfc": batch_of(lambda: fresh(tokens), lambda token: joserfc.jwt.decode(token, key_set, ["ES256"])),  # noqa: B023
        }
        _add(curve, medians(batches, rounds=rounds))
    return curve


def _add(curve: Curve, values: dict[str, float]) -> None:
    for name, value in values.items():
        curve.setdefault(name, []).append(value)


def refuse_garbage(rounds: int) -> dict[str, dict[str, float]]:
    """kind of garbage → contender → microseconds until the garbage is refused."""
    kinds = {
        f"{GARBAGE:,} letters A": "A" * GARBAGE,
        f"{GARBAGE:,} dots": "." * GARBAGE,
        f"{MAX_TOKEN:,} letters A": "A" * MAX_TOKEN,
        f"{MAX_TOKEN:,} dots": "." * MAX_TOKEN,
        "a third each": ".".join(["A" * (GARBAGE // 3)] * 3),
    }
    refusing = {"Ostiary": our_verifier([our_public_key("HS256")]).verify}
    refusing |= {name: contender.verify for name, contender in libraries("HS256").items()}
    return {kind: medians(_refusals(refusing, text), rounds=rounds) for kind, text in kinds.items()}


def _refusals(refusing: dict[str, Any], text: str) -> dict[str, Batch]:
    return {name: batch_of(lambda: fresh([text] * 3), must_refuse(verify)) for name, verify in refusing.items()}


def must_refuse(verify: Callable[[str], object]) -> Callable[[str], None]:
    def refuse(token: str) -> None:
        try:
            verify(token)
        except Exception:  # noqa: BLE001 - each library has its own exceptions
            return
        raise AssertionError("accepted")

    return refuse


def imports(rounds: int) -> dict[str, float]:
    """Milliseconds of processor time to import each compiled module in a new process."""
    taken: dict[str, list[float]] = {name: [] for name in MODULES}
    with tempfile.TemporaryDirectory() as compiled:
        for module in MODULES.values():
            _import(module, compiled)
        for _ in range(rounds):
            for name, module in MODULES.items():
                taken[name].append(_import(module, compiled))
    return {name: statistics.median(each) for name, each in taken.items()}


def _import(module: str, compiled: str) -> float:
    code = f"import time; t = time.process_time(); import {module}; print((time.process_time() - t) * 1000)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return float(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
