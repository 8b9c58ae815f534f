"""Introspection (RFC 7662): a service that does not verify access tokens itself asks whether one is valid.

Owns no table. A client learns about tokens for its own resources. For every other token it gets the same empty answer.
Knows neither accounts nor sessions, because the token and the known revocations are enough.
"""

from ostiary.core.plug import Feature
from ostiary.features.introspection import routes

feature = Feature(name="introspection", routes=routes.ROUTES)
"""Only clients can ask, so the route is of no use until a client is created."""
