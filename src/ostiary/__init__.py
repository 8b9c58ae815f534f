"""Ostiary: secure token authentication for Python.

Three ways to use it. *Verify* access tokens in any service, with cryptography and msgspec alone: `Verifier`. *Embed* a
complete auth system in an ASGI app: `Ostiary` (``pip install 'ostiary[server]'``). *Serve* it: ``ostiary serve``.
"""

from typing import TYPE_CHECKING, Any

from ostiary._version import __version__
from ostiary.errors import OstiaryError
from ostiary.jose import KeySet, SigningKey, VerifyingKey
from ostiary.verifier import (
    AccessToken,
    Claims,
    ClientCredentials,
    Expectation,
    JwtVerifier,
    Principal,
    RemoteKeys,
    RemoteVerifier,
    Requirement,
    TokenAuthenticator,
    Verifier,
)

if TYPE_CHECKING:
    from ostiary.app import Ostiary

__all__ = [
    "AccessToken",
    "Claims",
    "ClientCredentials",
    "Expectation",
    "JwtVerifier",
    "KeySet",
    "Ostiary",
    "OstiaryError",
    "Principal",
    "RemoteKeys",
    "RemoteVerifier",
    "Requirement",
    "SigningKey",
    "TokenAuthenticator",
    "Verifier",
    "VerifyingKey",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # the base install has no web framework: `Ostiary` is imported when somebody asks for it
    if name == "Ostiary":
        try:
            from ostiary.app import Ostiary  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.startswith("ostiary"):
                raise
            raise ImportError("the base install verifies tokens only: pip install 'ostiary[server]'") from missing

        return Ostiary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
