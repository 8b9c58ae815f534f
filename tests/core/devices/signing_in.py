"""Signing in from devices, like a client that keeps its device token."""

import re
from dataclasses import replace
from typing import Any, Final, NamedTuple

from ostiary.core.accounts import queries as accounts
from ostiary.core.devices.model import Recognised
from ostiary.core.devices.service import recognise
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.store.database import Transaction
from tests.core.installation import EMAIL, Installation, Person, Tokens, by, tokens_of

CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
LINK: Final = re.compile(r"/devices/disown#(ostiary_disown_[0-9a-f]{72})$", re.MULTILINE)


class SignedIn(NamedTuple):
    tokens: Tokens
    device_id: str
    device_token: str | None
    """A sign-in from a new device."""


async def sign_in(house: Installation, email: str = EMAIL, **options: Any) -> SignedIn:
    answer = await house.login(email, **options)
    tokens = tokens_of(answer)
    ((device_id,),) = await house.rows("select device_id from sessions where id = $1", tokens.session_id)
    return SignedIn(tokens, device_id, answer.json().get("device_token"))


async def seen(house: Installation, person: Person, token: str | None = None, **changes: Any) -> Recognised:
    """Only the part of a sign-in that concerns the device."""
    shown = fingerprint(token, Purpose.DEVICE) if token else None

    async def body(tx: Transaction) -> Recognised:
        assert await accounts.hold(tx, person.id, epoch=1)
        actor = replace(by(person), **changes)
        return await recognise(house.ambient, tx, actor, account_id=person.id, shown=shown, name="a loom")

    return await house.ambient.database.transaction(body)


async def devices(house: Installation, person: Person | None = None) -> set[str]:
    """The ids of all devices, or of those of one person."""
    rows = await house.rows("select id, account_id from devices")
    return {device for device, account_id in rows if person is None or person.id == account_id}


async def disown_tokens(house: Installation) -> list[str]:
    """The disown tokens in all mails so far."""
    return [token for mail in await house.mails() for token in LINK.findall(mail.text)]
