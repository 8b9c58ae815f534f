"""The master secret: read or made, and refused when it is weak."""

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
_LEAST_BITS: Final = 128  # a random 43-character text has about 200 by this count
_PLACEHOLDERS: Final = re.compile(
    r"change.?me|secret|secure|example|placeholder|password|default|master.?key|0123456789|abcdefghij|qwerty|lorem",
    re.IGNORECASE,
)
# letters of one case and what stands between words: 32 random bytes in base64 or base32 do not come out like that
_SENTENCE: Final = re.compile(r"[a-z._,'-]*|[A-Z._,'-]*")
_PUBLISHED: Final = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask's quickstart
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",  # RFC 7515 §A.1
        "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",  # RFC 7520 §3.5
    }
)
"""Long and random, and copied from documents into many installations."""


def check_secret(text: str) -> bytes:
    """The secret's bytes, as they go into the key derivation.

    Raises:
        ConfigurationError: it is shorter than 32 random bytes can be, a known example, or too regular to be random.
    """
    if problem := _weakness(text):
        raise ConfigurationError(f"OSTIARY_SECRET {problem}; make one with: {NEW_SECRET}")
    return text.encode()


def _weakness(text: str) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text:
        return "must be printable ASCII without spaces"
    least = _HEX_LENGTH if re.fullmatch(r"[0-9a-fA-F]*", text) else _BASE64_LENGTH
    if len(text) < least:
        return f"is too short: {len(text)} characters, where 32 random bytes give {least}"
    if text in _PUBLISHED or _PLACEHOLDERS.search(text):
        return "looks like an example, not like a secret"
    if _SENTENCE.fullmatch(text):
        return "is made of words, which wordlists have too"
    if _repeats(text) or _shannon_bits(text) < _LEAST_BITS:
        return "is too regular to be random"
    return None


def _repeats(text: str) -> bool:
    """Whether the text is one piece written several times."""
    return text in (text + text)[1:-1]


def _shannon_bits(text: str) -> float:
    """The text's length times the entropy of its letter frequencies: an upper bound for what it can hold."""
    counts = Counter(text)
    return -sum(count * math.log2(count / len(text)) for count in counts.values())


def secret_path(database_path: Path) -> Path:
    """``app.db`` → ``app.db.secret``."""
    return database_path.with_name(database_path.name + ".secret")


def load_secrets(configured: Secret | None, *, database_path: Path | None) -> tuple[bytes, ...]:
    """The secrets, newest first: those configured, else the one in the file beside an SQLite database.

    Raises:
        ConfigurationError: none is configured and there is no place for a file; or it is weak; or the database is
            there and its secret file is not (a new one would make its keys unreadable).
    """
    if configured is not None:
        # an empty one is too short: it must not pass for none
        return tuple(check_secret(text) for text in configured.reveal().split() or [""])
    if database_path is None:
        raise ConfigurationError(f"OSTIARY_SECRET is needed with this database; make one with: {NEW_SECRET}")
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
        raise ConfigurationError(f"{path} is damaged: restore it from your copy") from None
    except OSError as problem:
        place = f"the folder {path.parent}" if not path.exists() else str(path)
        raise ConfigurationError(f"{place}: {problem.strerror}") from None
    if weakness := _weakness(text):
        # not the operator's choice: a new one would lock them out of their database
        raise ConfigurationError(f"{path} is damaged, its secret {weakness}: restore it from your copy")
    return text.encode()


def _refuse_orphan(database_path: Path, path: Path) -> None:
    # Looked at in this order, another process that starts at the same time cannot be mistaken for a lost secret:
    # whoever creates the database has created the secret before.
    if database_path.exists() and database_path.stat().st_size and not path.exists():
        raise ConfigurationError(
            f"{database_path} exists but its secret {path} does not; restore it or set OSTIARY_SECRET"
        )


def _create(path: Path) -> None:
    """Creates the file with its content or not at all, and leaves one that another process made first."""
    own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # link() fails where the name exists: the first of several processes wins, and nobody reads half a file
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()
