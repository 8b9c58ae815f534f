"""GET /auth/status/{number}."""

import re
from typing import Final

from ostiary.core.plug import (
    Answer,
    Call,
    Credential,
    Csrf,
    Empty,
    Place,
    Policy,
    Route,
    SignedText,
    Speaks,
    Unlimited,
)
from ostiary.core.tokens.issuing import refuse_when_stale
from ostiary.core.tokens.status.published import MAX_AGE
from ostiary.errors import NotFound, RevocationsUnknown
from ostiary.verifier.status_list import STATUS_LIST_MEDIA_TYPE

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")  # only one spelling: the URI of a list is its `sub`

# must-revalidate: no list is better than a stale one in which a revoked token is still valid (RFC 9111 §5.2.2.2)
_FOR_EVERYBODY: Final = (
    ("cache-control", f"public, max-age={MAX_AGE}, must-revalidate"),
    ("access-control-allow-origin", "*"),
)


async def status_list(call: Call[Empty]) -> Answer:
    refuse_when_stale(call.ambient)
    number = call.path["number"]
    text = await call.ambient.status_lists.signed(int(number)) if _NUMBER.fullmatch(number) else None
    if text is None:
        raise NotFound("no such status list")
    return Answer(200, SignedText(text, STATUS_LIST_MEDIA_TYPE), headers=_FOR_EVERYBODY)


ROUTES: Final = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/status/{number}",
        summary="Which access tokens were revoked, as a Token Status List",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.NONE,
            csrf=Csrf.SAFE,
            limit=Unlimited(because="public data; a list is computed at most once a second, else it comes from memory"),
        ),
        handler=status_list,
        body=Empty,
        query=Empty,
        answers={200: SignedText},
        errors=(RevocationsUnknown,),
    ),
)
