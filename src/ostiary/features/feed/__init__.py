"""The signed feed: other services get each revocation soon after it happens, in signed messages.

Owns no table: the content comes from the change feed of the store. It knows which client asks, and no tokens.
"""

from ostiary.core.plug import Feature
from ostiary.features.feed import routes

feature = Feature(name="feed", routes=routes.ROUTES)
