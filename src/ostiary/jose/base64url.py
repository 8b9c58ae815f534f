"""Base64url without padding, in canonical form only (RFC 7515 §2, RFC 4648 §3.5).

Python's own decoder skips unknown characters, accepts both alphabets and ignores unused bits, so one token could be
encoded in many ways. The msgspec decoder is strict except for unused bits, and twice as fast.
"""

import binascii
from typing import Final

import msgspec

# characters outside the URL-safe alphabet become invalid, and so do those with a meaning in a JSON string
_TO_STANDARD: Final = bytes.maketrans(b'-_+/="\\', b"+/!!!!!")
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_END: Final = (b'"', b'!"', b'=="', b'="')  # by length modulo 4; a remainder of 1 cannot come from whole bytes
_LAST: Final = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}  # the possible last characters: their unused bits are zero

_read: Final = msgspec.json.Decoder(bytes).decode


def decode(segment: bytes) -> bytes:
    """Decodes ``segment``.

    Raises:
        ValueError: ``segment`` has padding, another alphabet, white space, an impossible length or non-zero unused
            bits.
    """
    remainder = len(segment) % 4
    try:
        # Letters and digits are the same in both alphabets. Encoded ASCII JSON seldom has any other character.
        standard = segment if segment.isalnum() else segment.translate(_TO_STANDARD)
        raw = _read(b'"' + standard + _END[remainder])
    except msgspec.MsgspecError:
        raise ValueError("not base64url") from None
    if remainder and segment[-1] not in _LAST[remainder]:
        raise ValueError("not canonical base64url: the unused bits at the end must be zero")
    return raw


def encode(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL_SAFE)
