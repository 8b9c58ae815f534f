"""A service that follows the feed over HTTP and verifies every message."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from ostiary.core.clients import service as clients
from ostiary.core.plug import Actor
from ostiary.store.feed import Entry, append
from ostiary.verifier.feed_message import FeedMessage, verify_feed_message
from tests.core.installation import ISSUER, Installation, installation, opened, ostiary

OPERATOR = Actor.operator("test")


class Service:
    def __init__(self, house: Installation, made: clients.NewClient) -> None:
        self.house = house
        self.id = made.client.id
        self.secret = made.secret

    async def ask(self, query: str = "", *, client_id: str | None = None, secret: str | None = None) -> httpx.Response:
        """Sends one request. ``query`` is the text after the question mark."""
        basic = base64.b64encode(f"{client_id or self.id}:{secret or self.secret}".encode()).decode()
        return await self.house.get(f"/feed?{query}", headers={"authorization": f"Basic {basic}"})

    async def told(self, after: FeedMessage | None = None, *, wait: int = 0) -> FeedMessage:
        """Returns the message that follows another one, or the first one."""
        position = "" if after is None else f"after={after.generation}.{after.current}.{after.mark}&"
        answer = await self.ask(f"{position}wait={wait}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/jwt"
        assert answer.headers["cache-control"] == "no-store"
        return self.read(answer)

    def read(self, answer: httpx.Response) -> FeedMessage:
        keys = self.house.ambient.keys.published
        return verify_feed_message(answer.text, keys, issuer=ISSUER, client_id=self.id)

    def at(self, house: Installation) -> "Service":
        """Returns the same service, but it asks another server."""
        there = Service.__new__(Service)
        there.house, there.id, there.secret = house, self.id, self.secret
        return there


async def service_of(house: Installation, name: str = "orders") -> Service:
    return Service(house, await clients.create(house.ambient, OPERATOR, name=name, resources=()))


@asynccontextmanager
async def two(database_url: str, **settings: Any) -> AsyncIterator[tuple[Installation, Installation]]:
    """Two servers on one database."""
    async with installation(database_url, **settings) as house:
        second = ostiary(database_url, house.clock, house.outbox, **settings)
        async with opened(second, house.clock, house.outbox) as other:
            yield house, other


async def happen(house: Installation, *keys: str, kind: str = "session") -> None:
    """Writes entries to the change feed in one transaction."""
    until = house.ambient.now() + 3_600_000_000
    entries = [Entry(kind, key, 0, until) for key in keys]
    await house.ambient.database.transaction(lambda tx: append(tx, entries, random=house.ambient.random))


def keys_of(message: FeedMessage) -> list[str]:
    return [entry.key for entry in message.entries]
