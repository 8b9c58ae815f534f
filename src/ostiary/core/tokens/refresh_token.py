"""The form of a refresh token.

A refresh token is ``ostiary_refresh_``, the 26 characters of its session's id, and 84 characters of base64url. They
encode 63 bytes:

=====  ==========================================================================
bytes
=====  ==========================================================================
8      the id of the master secret whose keys made the token
7      the generation: 1 for the first token of a session, big-endian
32     the secret: 256 random bits, or bits derived from them (see `successor_of`)
16     a MAC of all of the above: HMAC-SHA256 (RFC 2104), truncated to 128 bits
=====  ==========================================================================

The MAC makes a forged, mistyped or truncated token cost no database statement. It also proves that we issued a token
for this session and generation, even when no row about it exists any more. Only the SHA-256 of the newest token of a
session is stored.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ostiary.core.entropy import Random
from ostiary.core.vault import SECRET_ID_SIZE, Vault
from ostiary.errors import Unavailable

_PREFIX: Final = "ostiary_refresh_"
_FORM: Final = re.compile(rf"{_PREFIX}([a-z2-7]{{26}})([A-Za-z0-9_-]{{84}})")  # 63 bytes leave no unused bits
_MAC_KEY: Final = "refresh-mac/1"
_SUCCESSOR_KEY: Final = "refresh/1"
_SESSION: Final = "ses_"

_GENERATION_SIZE: Final = 7
_SECRET_SIZE: Final = 32
_MAC_SIZE: Final = 16
_SALT_SIZE: Final = 16

_OF_GENERATION: Final = SECRET_ID_SIZE
_OF_SECRET: Final = _OF_GENERATION + _GENERATION_SIZE
_OF_MAC: Final = _OF_SECRET + _SECRET_SIZE


class RefreshToken(NamedTuple):
    """A refresh token that we issued. ``text`` is what the client holds."""

    text: str
    session_id: str
    generation: int
    secret: bytes

    @property
    def hash(self) -> bytes:
        """What the database stores of the newest token."""
        return hashlib.sha256(self.text.encode()).digest()


def new_token(vault: Vault, session_id: str, generation: int, random: Random) -> RefreshToken:
    """A token that is not the successor of another one: the first of a session, or the first in this format."""
    return _made(vault, _newest_secret(vault), session_id, generation, random.token(_SECRET_SIZE))


def read(vault: Vault, text: str) -> RefreshToken | None:
    """The token, or None if we did not issue it under one of the master secrets that this process has."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    session, raw = form[1], base64.urlsafe_b64decode(form[2])
    key = vault.keys(_MAC_KEY).get(raw[:_OF_GENERATION])
    if key is None or not hmac.compare_digest(_mac(key, session, raw[:_OF_MAC]), raw[_OF_MAC:]):
        return None
    generation = int.from_bytes(raw[_OF_GENERATION:_OF_SECRET], "big")
    return RefreshToken(text, _SESSION + session, generation, raw[_OF_SECRET:_OF_MAC])


def new_salt(vault: Vault, random: Random) -> bytes:
    """What is stored so that the successor of a spent token can be made again: the id of a master secret, and random
    bytes."""
    return _newest_secret(vault) + random.token(_SALT_SIZE)


def successor_of(vault: Vault, spent: RefreshToken, salt: bytes) -> RefreshToken:
    """The token that replaces ``spent``. The same arguments always give the same token.

    Nobody can make it without all three of: the spent token, which is stored nowhere; the master secret; and the salt,
    which is deleted after the grace period and when the session ends.

    Raises:
        Unavailable: the salt belongs to a master secret that this process does not have.
    """
    secret_id = salt[:SECRET_ID_SIZE]
    key = _key(vault.keys(_SUCCESSOR_KEY), secret_id)
    secret = hmac.digest(key, spent.secret + salt, "sha256")
    return _made(vault, secret_id, spent.session_id, spent.generation + 1, secret)


def _newest_secret(vault: Vault) -> bytes:
    return next(iter(vault.keys(_MAC_KEY)))


def _made(vault: Vault, secret_id: bytes, session_id: str, generation: int, secret: bytes) -> RefreshToken:
    session = session_id.removeprefix(_SESSION)
    raw = secret_id + generation.to_bytes(_GENERATION_SIZE, "big") + secret
    mac = _mac(_key(vault.keys(_MAC_KEY), secret_id), session, raw)
    text = f"{_PREFIX}{session}{base64.urlsafe_b64encode(raw + mac).decode()}"
    return RefreshToken(text, session_id, generation, secret)


def _key(keys: Mapping[bytes, bytes], secret_id: bytes) -> bytes:
    try:
        return keys[secret_id]
    except KeyError:
        raise Unavailable("a refresh token was made with a master secret that is not configured here") from None


def _mac(key: bytes, session: str, raw: bytes) -> bytes:
    # both parts have a fixed length, so no other pair gives the same bytes
    return hmac.digest(key, session.encode() + raw, "sha256")[:_MAC_SIZE]
