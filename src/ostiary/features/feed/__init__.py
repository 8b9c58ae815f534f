"""The signed feed: other services follow revocations as they happen, in messages that are signed.

Owns no table: its content is the change feed of the store. Knows which client asks, and no tokens.
"""

from ostiary.core.plug import Feature
from ostiary.features.feed import routes

feature = Feature(name="feed", routes=routes.ROUTES)
