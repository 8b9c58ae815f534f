"""Decides whether a token is active, for clients that may know it."""

from ostiary.core.plug import Ambient, Client
from ostiary.errors import InvalidToken
from ostiary.features.introspection.model import INACTIVE, Introspection, active


def introspect(ambient: Ambient, client: Client, token: str) -> Introspection:
    """The answer for the client. It never says why a token is not active. Expired and revoked tokens, tokens for
    another resource or from another issuer, refresh tokens and random text all get the same answer (RFC 7662 §4).

    Raises:
        RevocationsUnknown: it is unknown whether the token was revoked. Raised only for a token that is valid in every
            other respect.
    """
    # a client that was created under another issuer may have today's issuer as a resource. Tokens for that audience
    # belong to the issuer itself, so the client must not learn about them.
    resources = client.resources - {ambient.settings.issuer}
    try:
        claims = ambient.verifier.verify_for(token, resources)
    except InvalidToken:
        return INACTIVE
    # with several audiences, the answer would tell one resource about a token for another
    return active(claims, audience=claims.aud) if isinstance(claims.aud, str) else INACTIVE
