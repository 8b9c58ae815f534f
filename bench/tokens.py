"""Verifying tokens, beside the raw primitive, PyJWT and joserfc, in one run.

    scripts/bench tokens [--rounds 7] [--tokens 300]

Every contender gets the same distinct tokens and checks signature, issuer, audience and times.
Rounds alternate between them, so that all meet the same machine; the best batch of each counts. Compare ratios within a
run, not numbers of two runs. "cached" is the second look at the same tokens, revocations included.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import joserfc.jwk
import joserfc.jwt
import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ostiary.errors import InvalidToken
from ostiary.jose import HmacKey, SigningKey, base64url, sign
from ostiary.verifier import AAL1, ACCESS_TOKEN_TYPE, AccessToken, KnownRevocations, Verifier, encode_access_token

BATCH = 25
ISSUER = "https://auth.example.com"
SECRET = bytes(range(100, 132))


class Algorithm(NamedTuple):
    name: str
    key: SigningKey | HmacKey
    theirs: object
    """The key as PyJWT takes it."""
    raw: Callable[[bytes, bytes], object]
    """(signature, message) → verified by the primitive alone."""


def algorithms() -> list[Algorithm]:
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    modulus = rsa.generate_private_key(65537, 2048)
    ecdsa, pkcs1, sha256 = ec.ECDSA(hashes.SHA256()), padding.PKCS1v15(), hashes.SHA256()

    def raw_hmac(signature: bytes, message: bytes) -> None:
        mac = HMAC(SECRET, sha256)
        mac.update(message)
        mac.verify(signature)

    def raw_ecdsa(der: bytes, message: bytes, verify=curve.public_key().verify) -> None:
        verify(der, message, ecdsa)

    def raw_rsa(signature: bytes, message: bytes, verify=modulus.public_key().verify) -> None:
        verify(signature, message, pkcs1, sha256)

    def ours(name: str, private) -> SigningKey:
        return SigningKey.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), alg=name)

    return [
        Algorithm("HS256", HmacKey(SECRET, "HS256"), SECRET, raw_hmac),
        Algorithm("ES256", ours("ES256", curve), curve.public_key(), raw_ecdsa),
        Algorithm("EdDSA", ours("EdDSA", edwards), edwards.public_key(), edwards.public_key().verify),
        Algorithm("RS256", ours("RS256", modulus), modulus.public_key(), raw_rsa),
    ]


def make_tokens(key: SigningKey | HmacKey, count: int) -> list[bytes]:
    now = int(time.time())  # noqa: TID251 - a benchmark has no Ambient
    claims = AccessToken(
        iss=ISSUER, sub="acc_8FzJ4wq1mBd2", aud=ISSUER, exp=now + 900, iat=now, jti="", client_id="client_first_party",
        sid="ses_Yk3nT0xVb5Lr", ver=3, roles=("user", "editor"), scope="", auth_time=now, acr=AAL1, amr=("pwd",),
    )  # fmt: skip
    ids = (f"{number:032x}" for number in range(count))
    return [sign(encode_access_token(_with_id(claims, jti)), key, typ=ACCESS_TOKEN_TYPE).encode() for jti in ids]


def _with_id(claims: AccessToken, jti: str) -> AccessToken:
    return AccessToken(**{**{name: getattr(claims, name) for name in claims.__struct_fields__}, "jti": jti})


def best(contenders: dict[str, tuple[Callable[[], Sequence], Callable[[Any], object]]], rounds: int) -> dict:
    """Microseconds for one item, per contender: (the items of a round, the work on each). The best batch counts."""
    fastest = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, (prepare, work) in contenders.items():
            items = prepare()
            for start in range(0, len(items), BATCH):
                batch = items[start : start + BATCH]
                started = time.perf_counter()
                for item in batch:
                    work(item)
                fastest[name] = min(fastest[name], (time.perf_counter() - started) / len(batch) * 1e6)
    return fastest


def contenders(algorithm: Algorithm, count: int) -> dict:
    name, key = algorithm.name, algorithm.key
    tokens = make_tokens(key, count)
    public = key if isinstance(key, HmacKey) else key.public
    revocations = KnownRevocations(fresh=lambda: True)
    cold, warm = (Verifier(keys=[public], issuer=ISSUER, audience=ISSUER, revocations=revocations) for _ in range(2))
    their_jwk = joserfc.jwk.import_key({k: v for k, v in public.to_jwk().items() if k != "alg"})
    registry = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": ISSUER}, exp={"essential": True}
    )

    def texts() -> list[str]:
        """As from the wire: new objects, of which Python does not know the hash yet."""
        return [raw.decode() for raw in tokens]

    def forgotten() -> list[str]:
        cold.replace_keys([public])
        return texts()

    def with_joserfc(text: str) -> None:
        registry.validate(joserfc.jwt.decode(text, their_jwk, algorithms=[name]).claims)

    def with_pyjwt(text: str) -> object:
        return jwt.decode(text, algorithm.theirs, algorithms=[name], issuer=ISSUER, audience=ISSUER)

    return {
        "raw": (lambda: [_split(name, token) for token in tokens], lambda pair: algorithm.raw(*pair)),
        "ostiary": (forgotten, cold.verify),
        "cached": (texts, warm.verify),
        "PyJWT": (texts, with_pyjwt),
        "joserfc": (texts, with_joserfc),
    }


def _split(name: str, token: bytes) -> tuple[bytes, bytes]:
    message, _, segment = token.rpartition(b".")
    signature = base64url.decode(segment)
    if name == "ES256":
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        signature = utils.encode_dss_signature(r, s)
    return signature, message


def print_row(name: str, micros: dict[str, float]) -> None:
    raw, ours = micros["raw"], micros["ostiary"]
    budget = "≤ 6" if name == "HS256" else "≤ raw + 4"
    print(
        f"{name:6} {raw:8.2f} {ours:9.2f} {ours - raw:+8.2f} {budget:>10} {micros['cached']:8.2f} "
        f"{micros['PyJWT']:8.2f} {micros['joserfc']:8.2f}   PyJWT/ostiary {micros['PyJWT'] / ours:4.1f}, "
        f"cached {micros['PyJWT'] / micros['cached']:.0f}"
    )


def refuse_garbage() -> dict[str, float]:
    verifier = Verifier(keys=[HmacKey(SECRET, "HS256")], issuer=ISSUER, audience=ISSUER)

    def refuse(text: str) -> None:
        try:
            verifier.verify(text)
        except InvalidToken:
            return
        raise AssertionError("accepted")

    def giants(character: str, size: int) -> list[str]:
        return [character * (size - number) for number in range(BATCH)]

    garbage = {f"{size:,} {character!r}": (size, character) for size in (1_000_000, 16_384) for character in "A."}
    prepared = {name: (lambda s=size, c=character: giants(c, s), refuse) for name, (size, character) in garbage.items()}
    return best(prepared, 3)


def import_milliseconds(module: str, rounds: int) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print((time.perf_counter() - t) * 1000)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(rounds)]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    warnings.filterwarnings("ignore", message="EdDSA is deprecated")  # joserfc; its old name is the one in use
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=300)
    arguments = parser.parse_args()
    print("microseconds a token; targets: HS256 ≤ 6, others ≤ raw + 4, cached ≤ 1")
    print(f"{'':6} {'raw':>8} {'ostiary':>9} {'over raw':>8} {'target':>10} {'cached':>8} {'PyJWT':>8} {'joserfc':>8}")
    for algorithm in algorithms():
        print_row(algorithm.name, best(contenders(algorithm, arguments.tokens), arguments.rounds))
    for name, micros in refuse_garbage().items():
        print(f"refuse {name}: {micros:.1f} µs (target < 50)")
    for module in ("ostiary.jose", "ostiary.verifier"):
        print(f"import {module}: {import_milliseconds(module, arguments.rounds):.0f} ms (target < 60)")


if __name__ == "__main__":
    main()
