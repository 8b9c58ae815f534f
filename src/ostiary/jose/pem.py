"""Reads keys in PEM form with the cryptography library. The algorithm decides which of them it accepts."""

from cryptography.exceptions import UnsupportedAlgorithm

from ostiary.errors import KeyRejected


def read_public(pem: bytes) -> object:
    """The key in ``-----BEGIN PUBLIC KEY-----``. Raises KeyRejected for anything else."""
    # Imported late: it also loads SSH support, which takes a quarter of the import time of the whole package.
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        return load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRejected("not a public key in PEM form: it must begin with -----BEGIN PUBLIC KEY-----") from None


def read_private(pem: bytes, password: bytes | None) -> object:
    """The private key, decrypted with ``password`` if given. Raises KeyRejected for anything else."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    try:
        return load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRejected("not a private key in PEM form, or the password is wrong") from None
