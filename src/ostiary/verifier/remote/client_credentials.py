"""How a service tells an issuer who it is."""

import binascii
import urllib.parse
from typing import Final, final

from ostiary.errors import ConfigurationError


@final
class ClientCredentials:
    """The id and secret of a client that the issuer knows, for HTTP Basic (RFC 6749 §2.3.1).

    The secret stands in no text form, log or error. It is sent to the issuer's own origin and nowhere else.

    Raises:
        ConfigurationError: one of the two is no text, or empty.
    """

    __slots__ = ("authorization", "client_id")

    def __init__(self, client_id: str, client_secret: str) -> None:
        if not all(isinstance(text, str) and text for text in (client_id, client_secret)):
            raise ConfigurationError("client_id and client_secret must be texts that are not empty")
        self.client_id: Final = client_id
        # each in form encoding, so that a colon, or a letter that is not ASCII, is read as what it is
        pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(client_secret)}"
        self.authorization: Final = f"Basic {binascii.b2a_base64(pair.encode(), newline=False).decode()}"
        """The value of the header of that name: a secret."""

    def __repr__(self) -> str:
        return f"ClientCredentials(client_id={self.client_id!r})"
