"""Introspection (RFC 7662): a service that does not verify access tokens itself asks whether one is good.

Owns no table. Tells a client of tokens for its own resources, and of all others one and the same nothing. Knows neither
accounts nor sessions: what the token says, and what is revoked, suffices.
"""

from ostiary.core.plug import Feature
from ostiary.features.introspection import routes

feature = Feature(name="introspection", routes=routes.ROUTES)
"""Without a client nobody can ask, so it is off until one is made."""
