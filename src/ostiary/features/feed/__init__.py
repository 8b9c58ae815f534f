"""The signed feed: other services are told of revocations as they happen, in messages that prove who wrote them.

Owns no table: what it tells is the change feed of the store. Knows which client asks, and nobody's tokens.
"""

from ostiary.core.plug import Feature
from ostiary.features.feed import routes

feature = Feature(name="feed", routes=routes.ROUTES)
