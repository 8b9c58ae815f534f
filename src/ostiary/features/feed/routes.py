"""GET /auth/feed."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, Place, Policy, Route, SignedText, Speaks, Unlimited
from ostiary.errors import RevocationsUnknown
from ostiary.features.feed.model import position
from ostiary.features.feed.service import tell
from ostiary.verifier.feed_message import FEED_MEDIA_TYPE

_MOST_SECONDS: Final = 30

Position = Annotated[str, Meta(pattern=r"^[0-9]{1,18}\.[0-9]{1,18}(\.[0-9]{1,18})?$")]  # each fits into an int64


class Following(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``after`` is ``generation.current.mark`` of the last message. ``wait`` is the number of seconds that the answer
    may be delayed while there is nothing new."""

    after: Position | None = None
    wait: Annotated[int, Meta(ge=0, le=_MOST_SECONDS)] = 0


async def follow(call: Call[Empty]) -> Answer:
    query: Following = call.query
    after = None if query.after is None else position(query.after)
    text = await tell(call.ambient, call.service, after, wait=query.wait, gone=call.gone)
    return Answer(200, SignedText(text, FEED_MEDIA_TYPE))


ROUTES: Final = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/feed",
        summary="The revocations since a position, as a signed message",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.CLIENT,
            csrf=Csrf.SAFE,
            limit=Unlimited(because="only clients can ask, their secrets cannot be guessed, and waiting costs nothing"),
        ),
        handler=follow,
        body=Empty,
        query=Following,
        answers={200: SignedText},
        errors=(RevocationsUnknown,),
    ),
)
