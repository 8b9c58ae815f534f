"""The credentials with which a service authenticates itself to an issuer."""

import binascii
import urllib.parse
from typing import Final, final

from ostiary.errors import ConfigurationError


@final
class ClientCredentials:
    """The id and secret of a client that is registered at the issuer, for HTTP Basic (RFC 6749 §2.3.1).

    The secret never appears in a ``repr``, log or error. It is sent only to the issuer's own origin.

    Raises:
        ConfigurationError: the id or the secret is empty or not a string.
    """

    __slots__ = ("authorization", "client_id")

    def __init__(self, client_id: str, client_secret: str) -> None:
        if not all(isinstance(text, str) and text for text in (client_id, client_secret)):
            raise ConfigurationError("client_id and client_secret must be strings that are not empty")
        self.client_id: Final = client_id
        # both are form-encoded, so that colons and non-ASCII characters are read correctly
        pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(client_secret)}"
        self.authorization: Final = f"Basic {binascii.b2a_base64(pair.encode(), newline=False).decode()}"
        """The value of the Authorization header. It contains the secret."""

    def __repr__(self) -> str:
        return f"ClientCredentials(client_id={self.client_id!r})"
