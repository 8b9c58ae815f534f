"""Revocation (RFC 7009): the holder of a token revokes it.

Owns no table. A session or token ends as it would in any other way. Knows no accounts.
"""

from ostiary.core.plug import Feature
from ostiary.features.revocation import routes

feature = Feature(name="revocation", routes=routes.ROUTES)
