"""Measures whether response times reveal who has an account, for every kind of sign-in and registration.

    scripts/bench enumeration [--samples 200] [--database sqlite:///file.db]

The requests go through the ASGI app in one process, with the real cost of a password hash. Each round requests every
case once, in random order, so that all cases run under the same conditions. For each case, the output has the quartiles
in milliseconds and how often one of its responses took longer than one of the first case (Mann-Whitney). 50 % means no
difference. A case is marked if it is beyond the margin of three standard errors for this number of samples.
"""

import argparse
import asyncio
import gc
import itertools
import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from ostiary.app import Ostiary
from ostiary.core.accounts import registration
from ostiary.core.plug import Actor, Mail
from ostiary.core.sessions.service import set_disabled
from ostiary.settings import RegistrationSettings, SignInSettings

PASSWORD = "seven purple umbrellas sing"
WRONG = "a kettle that hums in winter"
WARM_UP = 10
UNLIMITED = "1000000/second"

_numbers = itertools.count(1)


class Nowhere:
    async def send(self, _mail: Mail) -> None: ...


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--samples", type=int, default=200, help="samples of each case; fewer than 200 prove little")
    parser.add_argument("--database", help="the URL of an empty database; by default a temporary SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'bench.db'}"
        auth = Ostiary(
            url,
            RegistrationSettings(require_verified_email=True, limit=UNLIMITED),
            SignInSettings(limit=UNLIMITED, account_limit=UNLIMITED),
            environ={},
            mail=Nowhere(),
            secret=secrets.token_urlsafe(32),
        )
        await auth.migrate()
        async with auth.opened(), client(auth) as http:
            await make_accounts(auth)
            await measure("Sign-in, refused", sign_ins(http), options.samples)
            await measure("Registration, accepted", registrations(http), options.samples)


def client(auth: Ostiary) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(auth.asgi)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", trust_env=False)


async def make_accounts(auth: Ostiary) -> None:
    operator = Actor.operator("bench")
    for name in ("known", "disabled", "passwordless"):
        email = f"{name}@example.com"
        account = await registration.create(auth.ambient, operator, email=email, password=PASSWORD, roles=())
        assert account is not None
        if name == "disabled":
            await set_disabled(auth.ambient, operator, account.id, disabled=True)
    await auth.ambient.database.execute(
        "update accounts set password_hash = null where email = $1", "passwordless@example.com"
    )


Cases = dict[str, Callable[[], Awaitable[Any]]]


def sign_ins(http: httpx.AsyncClient) -> Cases:
    async def ask(email: str, password: str) -> None:
        answer = await http.post("/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 401, answer.text

    return {
        "a wrong password": lambda: ask("known@example.com", WRONG),
        "an unknown address": lambda: ask("nobody@example.com", WRONG),
        "a disabled account, right password": lambda: ask("disabled@example.com", PASSWORD),
        "a disabled account, wrong password": lambda: ask("disabled@example.com", WRONG),
        "an account without a password": lambda: ask("passwordless@example.com", WRONG),
        "no address at all": lambda: ask("no address", WRONG),
    }


def registrations(http: httpx.AsyncClient) -> Cases:
    async def ask(email: str) -> None:
        answer = await http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 202, answer.text

    return {
        "a new address": lambda: ask(f"new{next(_numbers)}@example.com"),
        "a taken address": lambda: ask("known@example.com"),
        "an address that waits": lambda: ask("waits@example.com"),
    }


async def measure(title: str, cases: Cases, samples: int) -> None:
    shuffle = secrets.SystemRandom().shuffle
    taken: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    for number in range(WARM_UP + samples):
        order = list(cases)
        shuffle(order)
        for name in order:
            began = time.perf_counter()
            await cases[name]()
            if number >= WARM_UP:
                taken[name].append((time.perf_counter() - began) * 1000)
    gc.enable()
    report(title, taken)


def report(title: str, taken: dict[str, list[float]]) -> None:
    first = next(iter(taken.values()))
    margin = 3 * math.sqrt((2 * len(first) + 1) / (12 * len(first) ** 2))
    print(f"\n{title}: {len(first)} of each, margin {margin:.1%}")
    print(f"{'':36}{'25 %':>8}{'median':>8}{'75 %':>8}   longer than first case")
    for name, times in taken.items():
        quartiles = statistics.quantiles(times, n=4)
        longer = how_often_longer(times, first)
        mark = "" if abs(longer - 0.5) <= margin else "   <-- distinguishable"
        print(f"{name:36}" + "".join(f"{each:8.2f}" for each in quartiles) + f"   {longer:6.1%}{mark}")


def how_often_longer(times: list[float], others: list[float]) -> float:
    """Returns the share of pairs in which the first value is longer. A tie counts half."""
    return sum((mine > other) + (mine == other) / 2 for mine in times for other in others) / (len(times) * len(others))


if __name__ == "__main__":
    asyncio.run(main())
