"""Token Status Lists (draft-ietf-oauth-status-list-21): one small number for each token, in a list for many tokens.

No clock, no I/O. Writes lists with one bit for each token, and reads lists of all four sizes.
"""

import zlib
from typing import Annotated, Final, Literal, final

from msgspec import Meta, Struct

from ostiary.errors import BadSignature, ClaimRejected, MalformedToken, TokenExpired
from ostiary.jose import KeySet, base64url, strict_json, verify
from ostiary.jose.algorithms import SYMMETRIC
from ostiary.verifier.access_token import Identifier, Seconds
from ostiary.verifier.claims import convert_claims

STATUS_LIST_TYPE: Final = "statuslist+jwt"  # §5.1
STATUS_LIST_MEDIA_TYPE: Final = "application/statuslist+jwt"  # §8.1
MAX_STATUS_LIST_TOKEN: Final = 256 * 1024
"""Characters. A million incompressible bits are 128 KiB, and 228 KiB after encoding as base64url twice."""

VALID: Final = 0  # §7.1; all other values mean revoked, suspended, or something that only the issuer knows
MAX_STATUSES: Final = 1024 * 1024  # bytes after decompression: a million statuses of the largest size

Bits = Literal[1, 2, 4, 8]
_SHIFTS: Final = {1: 3, 2: 2, 4: 1, 8: 0}  # from an index to its byte: 8, 4, 2 or 1 statuses share a byte


@final
class StatusList:
    """Statuses of ``bits`` bits each. The first one is in the least significant bits of the first byte (§4.1).

    Raises:
        ValueError: ``bits`` is not 1, 2, 4 or 8.
    """

    __slots__ = ("_bits", "_last", "_mask", "_shift", "_statuses")

    def __init__(self, statuses: bytes, bits: int = 1) -> None:
        if bits not in _SHIFTS:
            raise ValueError(f"bits must be 1, 2, 4 or 8, not {bits}")
        self._statuses = statuses
        self._bits = bits
        self._shift = _SHIFTS[bits]
        self._last = (1 << self._shift) - 1  # the number of the last status in a byte
        self._mask = (1 << bits) - 1

    @classmethod
    def decode(cls, lst: str, bits: int = 1) -> "StatusList":
        """Reads ``lst`` (§4.2).

        Raises:
            ValueError: ``lst`` is not strict base64url of exactly one complete zlib stream, or decompresses to more
                than `MAX_STATUSES` bytes.
        """
        return cls(_decompress(base64url.decode(lst.encode("ascii"))), bits)

    def status(self, idx: int) -> int:
        """The status with the index ``idx``, counted from 0. Raises IndexError if the list has no such index."""
        if idx < 0:
            raise IndexError("the index must not be negative")
        return self._statuses[idx >> self._shift] >> (idx & self._last) * self._bits & self._mask

    def __len__(self) -> int:
        return len(self._statuses) << self._shift


def encode(statuses: bytes, *, level: int = zlib.Z_BEST_COMPRESSION) -> str:
    """The ``lst`` of a list with one bit for each status (§4.2).

    Compressing a million statuses takes milliseconds, and up to a hundred with the highest ``level``.
    """
    return base64url.encode(zlib.compress(statuses, level)).decode("ascii")


class EncodedStatusList(Struct, frozen=True):
    """The claim ``status_list``."""

    bits: Bits
    lst: str


class StatusListClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a status list token (§5.1). ``exp`` is required: without it, a list could be replayed forever."""

    sub: str
    """The list's own URI."""
    iat: Seconds
    exp: Seconds
    status_list: EncodedStatusList
    iss: Identifier | None = None
    ttl: Annotated[int, Meta(ge=1)] | None = None
    """Seconds after which a verifier should fetch a new copy."""


def verify_status_list(
    token: str, keys: KeySet, *, issuer: str, uri: str, now: float, leeway: int
) -> tuple[StatusList, StatusListClaims]:
    """Verifies a status list token that ``issuer`` signed for the list at ``uri`` (§8.3), and returns the list.

    Args:
        now: Seconds since the epoch.
        leeway: Seconds by which the issuer's clock may differ from ours.

    Raises:
        InvalidToken: the status list token is not valid. The subclass says why.
    """
    verified = verify(token, keys, typ=STATUS_LIST_TYPE, longest=MAX_STATUS_LIST_TOKEN)
    if verified.header.alg in SYMMETRIC:  # §5.1: anyone who can verify it could have made it
        raise BadSignature("the status list is signed with a shared secret: its issuer must use an asymmetric key")
    claims = _read(verified.payload)
    _check_claims(claims, issuer=issuer, uri=uri, now=now, leeway=leeway)
    try:
        return StatusList.decode(claims.status_list.lst, claims.status_list.bits), claims
    except ValueError:
        raise ClaimRejected("status_list: lst must be base64url of one zlib stream of limited size") from None


def _read(payload: bytes) -> StatusListClaims:
    try:
        claims = strict_json.loads_object(payload)
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
    return convert_claims(claims, StatusListClaims)


def _check_claims(claims: StatusListClaims, *, issuer: str, uri: str, now: float, leeway: int) -> None:
    if claims.sub != uri:
        raise ClaimRejected("sub: the status list is for another URI")
    if claims.iss not in (None, issuer):
        raise ClaimRejected("iss: the status list is from another issuer")
    if not claims.iat <= now + leeway:
        raise ClaimRejected("iat: the status list was issued in the future: check the clocks")
    if not claims.iat < claims.exp:
        raise ClaimRejected("exp: the status list expires before it was issued")
    if not now < claims.exp + leeway:
        raise TokenExpired("exp: the status list has expired")


def _decompress(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        statuses = stream.decompress(data, MAX_STATUSES + 1)  # limits what a decompression bomb can produce
    except zlib.error:
        raise ValueError("not a zlib stream") from None
    if len(statuses) > MAX_STATUSES:
        raise ValueError("too many statuses")
    if not stream.eof or stream.unused_data:
        raise ValueError("not exactly one complete zlib stream")
    return statuses
