"""Whether a token is valid, for clients that may know it."""

from ostiary.core.plug import Ambient, Client
from ostiary.errors import InvalidToken
from ostiary.features.introspection.model import INACTIVE, Introspection, active


def introspect(ambient: Ambient, client: Client, token: str) -> Introspection:
    """The answer for the client. It never says why a token is not active: expired, revoked, of another resource or
    issuer, a refresh token and noise are one answer (RFC 7662 §4).

    Raises:
        RevocationsUnknown: it cannot be known whether the token was revoked. Only told of a token that is good but for
            that.
    """
    # a client that was made while another issuer was set may name this one, whose own tokens open what is the issuer's
    resources = client.resources - {ambient.settings.issuer}
    try:
        claims = ambient.verifier.verify_for(token, resources)
    except InvalidToken:
        return INACTIVE
    # with several audiences it would also tell one resource of what is meant for another
    return active(claims, audience=claims.aud) if isinstance(claims.aud, str) else INACTIVE
