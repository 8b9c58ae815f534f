"""Measures what hostile requests of 64 KB cost the event loop, on registration, sign-in and refresh.

    scripts/bench bodies [--samples 20]

The requests go to the ASGI app in one process. The figures are milliseconds of CPU time of the event loop's thread, so
password hashing, which has threads of its own, does not count. Each figure is the median. Reading and refusing a body
must cost at most 2 ms. A body that is accepted also costs what its route then does: see ``usual``.
"""

import argparse
import asyncio
import gc
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ostiary.app import Ostiary
from ostiary.core.plug import Mail
from ostiary.settings import RegistrationSettings, SignInSettings
from ostiary.verifier import cookie_names

SIZE = 64 * 1024 - 200
ROUTES = ("/auth/register", "/auth/login", "/auth/refresh")
COMMAS = b'{"email":"' + b"," * 2000 + b'",'


def filled(start: bytes, unit: bytes, end: bytes = b"") -> bytes:
    return start + unit * ((SIZE - len(start) - len(end)) // len(unit)) + end


BODIES = {
    "usual": b'{"email":"ada@example.com","password":"seven purple umbrellas sing"}',
    "lists": filled(b"[", b"[],", b"[]]"),
    "objects": filled(b"[", b"{},", b"{}]"),
    "empty strings": filled(COMMAS + b'"a":[', b'"",', b'""]}'),
    "strings without commas": filled(COMMAS, b'""'),
    "escaped quotes": filled(COMMAS, b'\\"\\\\"'),
    "brackets and spaces": filled(b'{"email":"' + b"[" * 20 + b'"}', b" "),
    "a long address": filled(b'{"password":"x","email":"a@', b"\xed\x95\x9c", b'.com"}'),
    "an escaped text": filled(b'{"password":"x","email":"', b"\\u0041", b'"}'),
    "digits": filled(b'{"email":', b"9", b"}"),
    "unknown names": filled(
        b"{", b'"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":0,', b'"b":0}'
    ),
}


class Nowhere:
    async def send(self, mail: Mail) -> None: ...


async def cost(app: Any, path: str, body: bytes, cookie: bytes = b"") -> float:
    waiting = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(_message: dict[str, Any]) -> None: ...

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin")]
    headers += [(b"cookie", cookie)] if cookie else []
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "headers": headers}
    began = time.thread_time()
    await app(scope, receive, send)
    return (time.thread_time() - began) * 1000


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=20)
    samples: int = parser.parse_args().samples
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        limits = (SignInSettings(limit="1000000/second"), RegistrationSettings(limit="1000000/second"))
        auth = Ostiary(f"sqlite:///{Path(folder) / 'bench.db'}", *limits, environ={}, config=None, mail=Nowhere())
        async with auth.opened():
            flood = f"{cookie_names(auth.settings.issuer).refresh}=x".encode() + b";" * SIZE
            gc.disable()
            print(f"{'':24}" + "".join(f"{path:>16}" for path in ROUTES))
            for name, body, cookie in [
                *((name, body, b"") for name, body in BODIES.items()),
                ("cookies", b"{}", flood),
            ]:
                row = []
                for path in ROUTES:
                    costs = [await cost(auth.asgi, path, body, cookie) for _ in range(samples)]
                    row.append(statistics.median(costs))
                print(f"{name:24}" + "".join(f"{each:16.2f}" for each in row))


asyncio.run(main())
