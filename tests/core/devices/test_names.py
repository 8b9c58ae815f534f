"""What a device is called, and that no user agent makes finding out slow."""

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

# found by pumping every repetition of every expression, and then by mutating the slowest
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
async def test_a_device_is_called_by_what_its_user_agent_names(user_agent, name):
    assert await device_name(None, user_agent) == name


@pytest.mark.parametrize(
    ("wanted", "name"), [("Ada's loom", "Ada's loom"), ("  loom ", "loom"), ("x" * 300, "x" * 100)]
)
async def test_a_name_that_is_wanted_comes_first(wanted, name):
    assert await device_name(wanted, CHROME) == name


@pytest.mark.parametrize("wanted", ["", "   "])
async def test_an_empty_name_is_none(wanted):
    assert await device_name(wanted, CHROME) == "Chrome on Windows"


async def test_the_name_that_a_sign_in_gives_is_the_devices(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        await sign_in(house, device_name="the kitchen", headers={"user-agent": CHROME})
        assert await house.rows("select name from devices") == [("the kitchen",)]


@pytest.mark.parametrize("user_agent", HOSTILE)
def test_no_user_agent_takes_long(user_agent):
    """P07: a few milliseconds at worst for the hundreds of expressions together. An exponential one would take hours, a
    cubic one seconds."""
    assert len(user_agent) <= 256
    described(user_agent)
    taken = []
    for _ in range(3):
        begun = time.thread_time()
        name = described(user_agent)
        taken.append(time.thread_time() - begun)
    assert min(taken) < 0.1
    assert len(name) <= LONGEST_NAME


async def test_the_loop_goes_on_while_a_name_is_looked_for(monkeypatch):
    """What compiles hundreds of expressions at its first use must not do it on the event loop."""
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
