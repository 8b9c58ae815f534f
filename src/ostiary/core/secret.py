"""The master secret: reads or creates it, and refuses a weak one."""

import contextlib
import math
import os
import re
import secrets
from collections import Counter
from pathlib import Path
from typing import Final

from ostiary.core.settings import NEW_SECRET, Secret
from ostiary.errors import ConfigurationError

_BASE64_LENGTH: Final = 43  # 32 bytes as base64
_HEX_LENGTH: Final = 64  # 32 bytes as hex
_LEAST_BITS: Final = 128  # a random text of 43 characters has about 200 by this measure
_PLACEHOLDERS: Final = re.compile(
    r"change.?me|secret|secure|example|placeholder|password|default|master.?key|0123456789|abcdefghij|qwerty|lorem",
    re.IGNORECASE,
)
# letters of one case and word separators: 32 random bytes in base64 or base32 do not look like that
_SENTENCE: Final = re.compile(r"[a-z._,'-]*|[A-Z._,'-]*")
_PUBLISHED: Final = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask's quickstart
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",  # RFC 7515 §A.1
        "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",  # RFC 7520 §3.5
    }
)
"""Long and random, but published in documentation and copied into many installations."""


def check_secret(text: str) -> bytes:
    """The bytes of the secret for the key derivation.

    Raises:
        ConfigurationError: the secret is shorter than 32 random bytes can be, a known example, or too regular to be
            random.
    """
    if problem := _weakness(text):
        raise ConfigurationError(f"OSTIARY_SECRET {problem}; create one with: {NEW_SECRET}")
    return text.encode()


def _weakness(text: str) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text:
        return "must be printable ASCII without spaces"
    least = _HEX_LENGTH if re.fullmatch(r"[0-9a-fA-F]*", text) else _BASE64_LENGTH
    if len(text) < least:
        return f"is too short: it has {len(text)} characters, but 32 random bytes have at least {least}"
    if text in _PUBLISHED or _PLACEHOLDERS.search(text):
        return "looks like an example, not like a secret"
    if _SENTENCE.fullmatch(text):
        return "consists of words, which can be guessed with wordlists"
    if _repeats(text) or _shannon_bits(text) < _LEAST_BITS:
        return "is too regular to be random"
    return None


def _repeats(text: str) -> bool:
    """Whether the text is one piece repeated several times."""
    return text in (text + text)[1:-1]


def _shannon_bits(text: str) -> float:
    """The length of the text times the entropy of its letter frequencies: an upper bound for its randomness."""
    counts = Counter(text)
    return -sum(count * math.log2(count / len(text)) for count in counts.values())


def secret_path(database_path: Path) -> Path:
    """``app.db`` → ``app.db.secret``."""
    return database_path.with_name(database_path.name + ".secret")


def load_secrets(configured: Secret | None, *, database_path: Path | None) -> tuple[bytes, ...]:
    """The secrets, newest first: the configured ones, or else the one in the file next to an SQLite database.

    Raises:
        ConfigurationError: no secret is configured and the database is not a file; or the secret is weak; or the
            database exists without its secret file (with a new secret its keys would be unreadable).
    """
    if configured is not None:
        # an empty setting counts as a secret that is too short, not as a missing one
        return tuple(check_secret(text) for text in configured.reveal().split() or [""])
    if database_path is None:
        raise ConfigurationError(f"OSTIARY_SECRET is needed with this database; create one with: {NEW_SECRET}")
    return (_from_file(secret_path(database_path), database_path=database_path),)


def _from_file(path: Path, *, database_path: Path) -> bytes:
    try:
        if not path.exists():
            _refuse_orphan(database_path, path)
            _create(path)
        text = path.read_text(encoding="ascii").strip()
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is damaged: restore it from your backup") from None
    except OSError as problem:
        place = f"the folder {path.parent}" if not path.exists() else str(path)
        raise ConfigurationError(f"{place}: {problem.strerror}") from None
    if weakness := _weakness(text):
        # do not suggest a new secret: it would lock the operator out of the database
        raise ConfigurationError(f"{path} is damaged, its secret {weakness}: restore it from your backup")
    return text.encode()


def _refuse_orphan(database_path: Path, path: Path) -> None:
    # Checked in this order, another process that starts at the same time is not mistaken for a lost secret: each
    # process creates the secret before the database.
    if database_path.exists() and database_path.stat().st_size and not path.exists():
        raise ConfigurationError(
            f"{database_path} exists but its secret {path} does not; restore it or set OSTIARY_SECRET"
        )


def _create(path: Path) -> None:
    """Creates the file with its complete content or not at all. Keeps a file that another process created first."""
    own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # link() fails if the name exists, so the first of several processes wins and none reads an incomplete file
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()
