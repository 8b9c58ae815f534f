"""Token Status Lists (draft-ietf-oauth-status-list-21): for each token a small number, among those of a million others.

Pure: no clock, no I/O. Lists of one bit are written, all four sizes are read.
"""

import zlib
from typing import Annotated, Final, Literal, final

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import BadSignature, ClaimRejected, MalformedToken, TokenExpired
from ostiary.jose import KeySet, base64url, strict_json, verify
from ostiary.jose.algorithms import SYMMETRIC
from ostiary.verifier.access_token import Identifier, Seconds

STATUS_LIST_TYPE: Final = "statuslist+jwt"  # §5.1
STATUS_LIST_MEDIA_TYPE: Final = "application/statuslist+jwt"  # §8.1
MAX_STATUS_LIST_TOKEN: Final = 256 * 1024
"""Characters. A million bits that nothing can compress are 128 KiB, and become 228 KiB by two times base64url."""

VALID: Final = 0  # §7.1; everything else is revoked, suspended, or something that only the issuer knows
MAX_STATUSES: Final = 1024 * 1024  # bytes after decompression: a million statuses of the largest kind

Bits = Literal[1, 2, 4, 8]
_SHIFTS: Final = {1: 3, 2: 2, 4: 1, 8: 0}  # from an index to its byte: 8, 4, 2 or 1 of them share one


@final
class StatusList:
    """Statuses of ``bits`` bits each, the first one in the least significant bits of the first byte (§4.1).

    Raises:
        ValueError: ``bits`` is none of 1, 2, 4, 8.
    """

    __slots__ = ("_bits", "_last", "_mask", "_shift", "_statuses")

    def __init__(self, statuses: bytes, bits: int = 1) -> None:
        if bits not in _SHIFTS:
            raise ValueError("a status has 1, 2, 4 or 8 bits")
        self._statuses = statuses
        self._bits = bits
        self._shift = _SHIFTS[bits]
        self._last = (1 << self._shift) - 1  # the number of the last one in a byte
        self._mask = (1 << bits) - 1

    @classmethod
    def decode(cls, lst: str, bits: int = 1) -> "StatusList":
        """Reads ``lst`` (§4.2). Raises ValueError for all but strict base64url of exactly one complete zlib stream that
        grows to `MAX_STATUSES` bytes at most."""
        return cls(_decompress(base64url.decode(lst.encode("ascii"))), bits)

    def status(self, idx: int) -> int:
        """The status with the number ``idx``, from 0. Raises IndexError where the list has none."""
        if idx < 0:
            raise IndexError("before the list")
        return self._statuses[idx >> self._shift] >> (idx & self._last) * self._bits & self._mask

    def __len__(self) -> int:
        return len(self._statuses) << self._shift


def encode(statuses: bytes, *, level: int = zlib.Z_BEST_COMPRESSION) -> str:
    """The ``lst`` of a list with one bit for each status (§4.2). To compress a million takes milliseconds, with the
    highest ``level`` up to a hundred."""
    return base64url.encode(zlib.compress(statuses, level)).decode("ascii")


class EncodedStatusList(Struct, frozen=True):
    """The claim ``status_list``."""

    bits: Bits
    lst: str


class StatusListClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a status list token (§5.1). We require ``exp``: a list without it could be shown for ever."""

    sub: str
    """Its own URI."""
    iat: Seconds
    exp: Seconds
    status_list: EncodedStatusList
    iss: Identifier | None = None
    ttl: Annotated[int, Meta(ge=1)] | None = None
    """Seconds after which a fresh copy is to be fetched."""


def verify_status_list(
    token: str, keys: KeySet, *, issuer: str, uri: str, now: float, leeway: int
) -> tuple[StatusList, StatusListClaims]:
    """The list in a status list token that ``issuer`` has signed, if it is the one at ``uri`` and of this time (§8.3).

    Args:
        now: Seconds since the epoch; ``leeway`` is by how many of them the issuer's clock may differ.

    Raises:
        InvalidToken: one of its family.
    """
    verified = verify(token, keys, typ=STATUS_LIST_TYPE, longest=MAX_STATUS_LIST_TOKEN)
    if verified.header.alg in SYMMETRIC:  # §5.1: whoever could verify it could have made it
        raise BadSignature("a status list that is signed with a shared secret")
    claims = _read(verified.payload)
    if claims.sub != uri or claims.iss not in (None, issuer):
        raise ClaimRejected("the status list of another URI or issuer")
    if not claims.iat <= now + leeway or not claims.iat < claims.exp:
        raise ClaimRejected("a status list of the future, or without a lifetime")
    if not now < claims.exp + leeway:
        raise TokenExpired("the status list has expired")
    try:
        return StatusList.decode(claims.status_list.lst, claims.status_list.bits), claims
    except ValueError:
        raise ClaimRejected("the status list is not base64url of one zlib stream of bounded size") from None


def _read(payload: bytes) -> StatusListClaims:
    try:
        return msgspec.convert(strict_json.loads_object(payload), StatusListClaims)
    except msgspec.ValidationError:
        raise ClaimRejected("a claim of the status list is missing or has the wrong type") from None
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None


def _decompress(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        statuses = stream.decompress(data, MAX_STATUSES + 1)  # a bomb goes no further than this
    except zlib.error:
        raise ValueError("not a zlib stream") from None
    if len(statuses) > MAX_STATUSES:
        raise ValueError("too many statuses")
    if not stream.eof or stream.unused_data:
        raise ValueError("not exactly one complete zlib stream")
    return statuses
