"""Recognises asymmetric keys among the bytes that somebody passes as an HMAC secret.

An attacker who knows the public key could sign with such a secret. CVE-2022-29217, CVE-2024-33663,
GHSA-xgmm-8j9v-c9wx and CVE-2026-114615: every list of prefixes has been evaded. So each layer of text encoding is
removed, and the structure of what is inside decides.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

LAYERS: Final = 4  # encodings around each other, such as hex of base64 of PEM
LEAST: Final = 44  # bytes: an Ed25519 public key in DER, the shortest kind that can be recognised

# Searched for anywhere and in any letter case, because a file may have a comment or a byte order mark before them.
_MARKS: Final = (
    b"-----begin",
    b"---- begin",
    b"putty-user-key-file",
    b"openssh-key-v1",
    b"ssh-rsa",  # in the text, and in the wire format (RFC 4253 §6.6)
    b"ssh-dss",
    b"ssh-ed25519",
    b"ssh-ed448",
    b"ecdsa-sha2-",
    b"<modulus>",
    b'"keys"',
    b"'keys'",
)
_JWK: Final = re.compile(rb"""["']kty["']|\bkty\W{1,6}(?:rsa|ec|okp|akp|oct)\b""")

_ESCAPE: Final = re.compile(rb"\\u00([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|\\([nrt/\"'\\])")
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_HEX_PREFIXES: Final = re.compile(rb"0[xX]|\\x")
_SEPARATORS: Final = b" \t\r\n\v\f:;,.-_\"'[]{}()"
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){%d,}" % LEAST)
_LEAST_BASE64: Final = LEAST * 4 // 3
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % _LEAST_BASE64)
_AROUND_BASE64: Final = b" \t\r\n\v\f,\"'"
_AFTER_DER: Final = b" \t\r\n\v\f\0"
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")

# The first two members of the SEQUENCE that each format is: DER tags (X.690 §8.1.2).
_INTEGER, _OCTETS, _BITS, _OID, _SEQUENCE, _TAGGED = 0x02, 0x04, 0x03, 0x06, 0x30, 0xA0
_FORMATS: Final = {
    (_SEQUENCE, _BITS): "SubjectPublicKeyInfo",
    (_INTEGER, _INTEGER): "PKCS#1, or DSA",
    (_INTEGER, _SEQUENCE): "PKCS#8 or PKCS#12",
    (_INTEGER, _OCTETS): "SEC 1 private key",
    (_SEQUENCE, _SEQUENCE): "certificate, or request for one",
    (_SEQUENCE, _OCTETS): "encrypted PKCS#8",
    (_OID, _TAGGED): "PKCS#7 with certificates",
}
_CURVES: Final = {65: ec.SECP256R1(), 97: ec.SECP384R1(), 133: ec.SECP521R1()}


def is_asymmetric_key(secret: bytes) -> bool:
    """Whether the bytes are a public or private key, a certificate, or a text that encodes one. See `HmacKey`."""
    seen: set[bytes] = set()
    layer = {secret}
    for _ in range(LAYERS):
        if any(map(_is_key, layer)):
            return True
        seen |= layer
        layer = {inner for data in layer for inner in _decoded(data)} - seen
    return any(map(_is_key, layer))


def _is_key(data: bytes) -> bool:
    text = data.replace(b"\0", b"").lower()  # UTF-16 and UTF-32 of ASCII text are the text with NULs
    return any(mark in text for mark in _MARKS) or bool(_JWK.search(text)) or _is_der(data) or _is_point(data)


def _decoded(data: bytes) -> Iterator[bytes]:
    """What ``data`` may be an encoding of: escaped text, hexadecimal, or base64 with either alphabet."""
    text = data.replace(b"\0", b"")
    yield _ESCAPE.sub(_unescaped, text)
    # once in one piece and once as it stands, because what comes before it may look like a part of it
    digits = _HEX_PREFIXES.sub(b"", text).translate(None, _SEPARATORS)
    for run in (*_HEX.findall(digits), *_HEX.findall(text)):
        yield bytes.fromhex(run.decode("ascii"))
    for run in (*_BASE64.findall(text.translate(None, _AROUND_BASE64)), *_BASE64.findall(text)):
        standard = run.translate(_TO_STANDARD)
        whole = standard[: len(standard) - (len(standard) % 4 == 1)]  # one character alone encodes nothing
        yield binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def _unescaped(found: re.Match[bytes]) -> bytes:
    digits = found[1] or found[2] or found[3]
    return bytes.fromhex(digits.decode("ascii")) if digits else _ESCAPED.get(found[4], found[4])


def _is_der(data: bytes) -> bool:
    """Whether the bytes are one DER SEQUENCE that begins like a key or certificate.

    White space around it does not matter, and neither do NULs after it, because a file may have them.
    """
    outer = _value(data.lstrip())
    if outer is None or len(data) < LEAST:
        return False
    tag, content, rest = outer
    if tag != _SEQUENCE or rest.strip(_AFTER_DER):
        return False
    first = _value(content)
    second = None if first is None else _value(first[2])
    return first is not None and second is not None and (first[0], second[0]) in _FORMATS


def _value(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The tag and content of the first DER value, and the bytes after it. None: there is no complete value."""
    length = _length(data[1:6])
    if length is None:
        return None
    start = 1 + length[0]
    end = start + length[1]
    return (data[0], data[start:end], data[end:]) if end <= len(data) else None


def _length(data: bytes) -> tuple[int, int] | None:
    """The number of length bytes, and the length that they state (X.690 §8.1.3)."""
    if not data:
        return None
    if data[0] < 0x80:
        return 1, data[0]
    size = data[0] & 0x7F
    return (1 + size, int.from_bytes(data[1 : 1 + size], "big")) if 1 <= size <= 4 else None


def _is_point(data: bytes) -> bool:
    """Whether the bytes are an uncompressed point of a NIST curve (SEC 1 §2.3.3)."""
    curve = _CURVES.get(len(data))
    if curve is None or data[0] != 4:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
    except ValueError:
        return False
    return True
