"""Keys in PEM form, as the cryptography library reads them. What they are good for is decided by the algorithm."""

from cryptography.exceptions import UnsupportedAlgorithm

from ostiary.errors import KeyRejected


def read_public(pem: bytes) -> object:
    """The key in ``-----BEGIN PUBLIC KEY-----``. Raises KeyRejected for anything else."""
    # it brings SSH along: a quarter of the time that importing the whole package takes
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        return load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRejected("not a public key in PEM form") from None


def read_private(pem: bytes, password: bytes | None) -> object:
    """A private key, decrypted if ``password`` is given. Raises KeyRejected for anything else."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    try:
        return load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRejected("not a private key in PEM form, or not with this password") from None
