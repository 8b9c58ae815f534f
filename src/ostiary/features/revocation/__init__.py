"""Revocation (RFC 7009): whoever holds a token takes it back.

Owns no table: what a token stands for ends as by any other way. Knows nothing of accounts.
"""

from ostiary.core.plug import Feature
from ostiary.features.revocation import routes

feature = Feature(name="revocation", routes=routes.ROUTES)
