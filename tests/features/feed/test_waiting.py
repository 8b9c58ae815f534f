"""Waiting for news costs nothing, ends as soon as there is news, and blocks nothing else."""

import asyncio
import base64
import time
from contextlib import asynccontextmanager

import pytest

from ostiary.features.feed.service import GATHERING
from ostiary.store.feed import MOST_WAITING
from tests.core.installation import installation, opened, ostiary, prepare
from tests.features.feed.service import happen, keys_of, service_of, two

LONG = 30
"""A wait in seconds that is longer than any test."""

SOON = 10
"""A generous deadline in seconds for things that happen at once."""


async def all_wait(house, count):
    async with asyncio.timeout(SOON):
        while house.ambient.feed._waiting < count:  # noqa: ASYNC110 — a counter is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(service, after, count=1):
    """Runs ``count`` requests that wait for news."""
    tasks = [asyncio.create_task(service.told(after, wait=LONG)) for _ in range(count)]
    try:
        await all_wait(service.house, count)
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_waiting_client_gets_news_from_another_server_at_once(database_url):
    async with two(database_url) as (house, other):
        service = (await service_of(house)).at(other)
        async with asking(service, await service.told()) as (waiting,):
            await happen(house, "news")
            async with asyncio.timeout(SOON):
                assert keys_of(await waiting) == ["news"]


async def test_two_hundred_waiting_clients_all_get_the_news(database_url):
    async with installation(database_url) as house:
        service = await service_of(house)
        async with asking(service, await service.told(), 200) as waiting:
            await happen(house, "news")
            async with asyncio.timeout(SOON):
                assert [keys_of(message) for message in await asyncio.gather(*waiting)] == [["news"]] * 200
        assert house.ambient.feed._waiting == 0


async def test_waiting_runs_no_statement(database_url):
    """Neither does the answer without entries at the end of the wait."""
    async with installation(database_url) as house:
        service = await service_of(house)
        now = await service.told()
        statements = []
        house.watch(statements.append)
        await service.told(now, wait=1)
        assert statements == []
        await service.told(now)
        assert len(statements) == 1


async def test_a_client_above_the_limit_gets_its_answer_without_waiting(sqlite_url):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        now = await service.told()
        house.ambient.feed._waiting = MOST_WAITING
        async with asyncio.timeout(SOON):
            message = await service.told(now, wait=LONG)
        assert (message.current, message.entries) == (now.current, ())
        assert house.ambient.feed._waiting == MOST_WAITING
        await happen(house, "news")
        assert keys_of(await service.told(now, wait=LONG)) == ["news"]


async def test_during_many_revocations_a_client_gets_every_entry_in_few_messages(sqlite_url):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        messages = [await service.told()]
        storm = [f"drop {number}" for number in range(100)]

        async def follow():
            while len([key for message in messages for key in keys_of(message)]) < len(storm):
                messages.append(await service.told(messages[-1], wait=LONG))

        began = time.monotonic()
        async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
            group.create_task(follow())
            for drop in storm:
                await happen(house, drop)
                await asyncio.sleep(0.005)
        assert [key for message in messages for key in keys_of(message)] == storm
        assert len(messages) <= 3 + (time.monotonic() - began) / GATHERING


async def test_closing_ends_waiting_at_once(sqlite_url):
    await prepare(sqlite_url)
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as group:
        auth = ostiary(sqlite_url)
        async with opened(auth, auth._assembly.clock, auth._assembly.transport) as house:
            service = await service_of(house)
            now = await service.told()
            position = f"after={now.generation}.{now.current}&wait={LONG}"
            waiting = [group.create_task(service.ask(position)) for _ in range(20)]
            await all_wait(house, 20)
        answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} <= {200, 503}


async def test_stop_waiting_answers_all_waiting_clients(sqlite_url):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        now = await service.told()
        async with asking(service, now, 3) as waiting:
            house.auth.stop_waiting()
            async with asyncio.timeout(SOON):
                assert [message.current for message in await asyncio.gather(*waiting)] == [now.current] * 3
                assert (await service.told(now, wait=LONG)).current == now.current


def test_stop_waiting_does_nothing_before_ostiary_is_open(sqlite_url):
    ostiary(sqlite_url).stop_waiting()


@pytest.mark.parametrize("body", [b"", b"an unexpected body"])
async def test_waiting_ends_when_the_caller_disconnects(sqlite_url, body):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        now = await service.told()
        hung_up, sent = asyncio.Event(), []
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            await hung_up.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        basic = base64.b64encode(f"{service.id}:{service.secret}".encode())
        scope = {
            "type": "http", "method": "GET", "path": "/auth/feed", "client": ("10.0.0.1", 1), "scheme": "https",
            "headers": [(b"authorization", b"Basic " + basic)],
            "query_string": f"after={now.generation}.{now.current}&wait={LONG}".encode(),
        }  # fmt: skip
        call = asyncio.create_task(house.app(scope, receive, send))
        await all_wait(house, 1)
        hung_up.set()
        async with asyncio.timeout(SOON):
            await call
        assert house.ambient.feed._waiting == 0
