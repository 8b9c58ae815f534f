"""Strict reading of JWK members (RFC 7517 §4, RFC 7518 §6): each has one type and one spelling."""

from collections.abc import Mapping
from typing import Any

from ostiary.errors import KeyRejected
from ostiary.jose import base64url


def text(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise KeyRejected(f"the JWK's {name!r} is missing or not a string")
    return value


def octets(jwk: Mapping[str, Any], name: str, *, size: int | None = None) -> bytes:
    """The bytes of a base64url member. If ``size`` is given, there must be exactly that many."""
    try:
        value = base64url.decode(text(jwk, name).encode("ascii"))
    except ValueError:
        raise KeyRejected(f"the JWK's {name!r} is not base64url") from None
    if size is not None and len(value) != size:
        raise KeyRejected(f"the JWK's {name!r} has {len(value)} bytes instead of {size}")
    return value


def natural(jwk: Mapping[str, Any], name: str, *, most: int, may_have_sign: bool = False) -> int:
    """A Base64urlUInt of at most ``most`` bytes, without leading zeros (RFC 7518 §2).

    ``may_have_sign`` accepts one leading zero. Some libraries write it, because they write signed numbers (§6.3.1.1).
    """
    value = octets(jwk, name)
    if may_have_sign and value[:1] == b"\0":
        value = value[1:]
    if len(value) > most:
        raise KeyRejected(f"the JWK's {name!r} has more than {most} bytes")
    if not value or value[0] == 0:
        raise KeyRejected(f"the JWK's {name!r} is empty or has leading zeros")
    return int.from_bytes(value, "big")


def written(value: bytes) -> str:
    """Encodes bytes as a member's text."""
    return base64url.encode(value).decode("ascii")


def written_natural(value: int) -> str:
    return written(value.to_bytes((value.bit_length() + 7) // 8, "big"))
