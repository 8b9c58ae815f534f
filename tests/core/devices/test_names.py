"""Names of devices, and that no user agent is slow to parse."""

import asyncio
import time

import pytest

from ostiary.core.devices.names import LONGEST_NAME, described, device_name
from tests.core.devices.signing_in import CHROME, sign_in
from tests.core.installation import installation

SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"

# found by repeating each quantified part of every expression, then mutating the slowest results
HOSTILE = [
    "Luminary" + "S" * 248,
    "S" * 127 + "w" + "S" * 128,
    ("Windows" + "dows" * 64)[:256],
    "Mozilla1Mobile1O" * 16,
    "1/" + "A" * 254,
    "HeadlessChrome" * 18,
    "a" * 256,
    " " * 256,
    "-" * 256,
    "1." * 128,
    "(Windows NT " * 21,
    "; Android" * 28,
]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (CHROME, "Chrome on Windows"),
        (SAFARI, "Mobile Safari on iOS"),
        (FIREFOX, "Firefox on Ubuntu"),
        ("curl/8.5.0", "curl"),
        ("(Windows NT 10.0)", "Windows"),
        ("", "Unknown device"),
        ("my own program", "Unknown device"),
        ("\x1b[31m�", "Unknown device"),
    ],
)
async def test_a_device_is_named_after_its_user_agent(user_agent, name):
    assert await device_name(None, user_agent) == name


@pytest.mark.parametrize(
    ("wanted", "name"), [("Ada's loom", "Ada's loom"), ("  loom ", "loom"), ("x" * 300, "x" * 100)]
)
async def test_a_name_chosen_by_the_client_takes_precedence(wanted, name):
    assert await device_name(wanted, CHROME) == name


@pytest.mark.parametrize("wanted", ["", "   "])
async def test_an_empty_name_counts_as_missing(wanted):
    assert await device_name(wanted, CHROME) == "Chrome on Windows"


async def test_the_device_name_of_a_sign_in_becomes_the_name_of_the_device(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        await sign_in(house, device_name="the kitchen", headers={"user-agent": CHROME})
        assert await house.rows("select name from devices") == [("the kitchen",)]


@pytest.mark.parametrize("user_agent", HOSTILE)
def test_no_user_agent_is_slow_to_parse(user_agent):
    """P07: a few milliseconds at worst for all expressions together. An exponential one would take hours, a cubic one
    seconds."""
    assert len(user_agent) <= 256
    described(user_agent)
    taken = []
    for _ in range(3):
        begun = time.thread_time()
        name = described(user_agent)
        taken.append(time.thread_time() - begun)
    assert min(taken) < 0.1
    assert len(name) <= LONGEST_NAME


async def test_the_event_loop_keeps_running_while_a_user_agent_is_parsed(monkeypatch):
    """The first use compiles hundreds of expressions, which must not happen on the event loop."""
    loop = asyncio.get_running_loop()
    going_on = asyncio.Event()

    def wait_for_the_loop(_user_agent):
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result(10)
        return "named"

    monkeypatch.setattr("ostiary.core.devices.names.described", wait_for_the_loop)
    naming = asyncio.ensure_future(device_name(None, CHROME))
    await asyncio.sleep(0)
    going_on.set()
    assert await naming == "named"
