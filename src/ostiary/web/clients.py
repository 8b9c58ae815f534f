"""Reads how a client authenticates: HTTP Basic, or two parameters of the body (RFC 6749 §2.3.1).

A request must not use both. Parameters of the URL are never read. A malformed header gets the same answer as a wrong
secret.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ostiary.errors import InvalidClient, InvalidRequest, MultipleCredentials
from ostiary.verifier import Headers
from ostiary.web.parameters import unquote

_BASIC: Final = b"basic"
_LONGEST: Final = 1024  # bytes of a header; valid ones have about 150


class ClientCredential(NamedTuple):
    id: str
    secret: str


def read_client(headers: Headers, members: Mapping[str, Any]) -> ClientCredential:
    """The id and the secret that a client sent.

    Args:
        members: the parameters of the body.

    Raises:
        MultipleCredentials: there are two Authorization headers, or one and a secret or a different id in the body.
        InvalidClient: the id or the secret is missing, or the header is malformed.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise MultipleCredentials("two Authorization headers")
    client_id, secret = members.get("client_id"), members.get("client_secret")
    if not values:
        return _checked(client_id, secret)
    if secret is not None:
        raise MultipleCredentials("an Authorization header and a secret in the body")
    shown = _basic(values[0])
    if client_id is not None and client_id != shown.id:  # in JSON the id may be of any type, also an unhashable one
        raise MultipleCredentials("one client in the Authorization header and another in the body")
    return shown


def _basic(value: bytes) -> ClientCredential:
    scheme, _, encoded = value.strip(b" \t").partition(b" ")
    if scheme.lower() != _BASIC or len(encoded) > _LONGEST:
        raise InvalidClient("the Authorization header is not HTTP Basic")
    try:
        user, _, password = base64.b64decode(encoded.lstrip(b" "), validate=True).partition(b":")
        return _checked(unquote(user), unquote(password))
    except (binascii.Error, InvalidRequest):
        raise InvalidClient("the Basic credentials are not encoded as RFC 6749 requires") from None


def _checked(client_id: Any, secret: Any) -> ClientCredential:
    if not isinstance(client_id, str) or not isinstance(secret, str) or not client_id or not secret:
        raise InvalidClient("the client id or the client secret is missing")
    return ClientCredential(client_id, secret)
