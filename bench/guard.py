"""Measures what FastAPI's guard adds to a route, in the processor time of one request in the process.

    scripts/bench guard [--rounds 60] [--requests 200]

The same route is called as an ASGI app, without a server: bare, with a dependency that does nothing, and with a guard.
The token is in the verifier's cache, as it is after a caller's first request. The goal is a fifth of one raw ES256
verification: the `cryptography` library alone, measured in the same run. Rounds are interleaved. Compare the ratios.
"""

import argparse
import asyncio
import time
from typing import Annotated, Any, Final

from _tokens.contenders import primitive, split
from _tokens.material import ISSUER, issue, many_claims, our_key, our_public_key
from _tokens.rounds import Batch, medians
from fastapi import Depends, FastAPI, Request

from ostiary import Principal, TokenAuthenticator, Verifier
from ostiary.integrations.fastapi import Guard
from ostiary.verifier import KnownRevocations

ALGORITHM: Final = "ES256"
GOAL: Final = 0.2  # of one raw verification
BARE, NOTHING, GUARD, ROLE, RAW = "no dependency", "a dependency that does nothing", "guard()", "guard(role=…)", "raw"


def app() -> FastAPI:
    revocations = KnownRevocations(fresh=lambda: True)
    verifier = Verifier(keys=[our_public_key(ALGORITHM)], issuer=ISSUER, audience=ISSUER, revocations=revocations)
    guard = Guard(TokenAuthenticator(verifier))
    made = FastAPI()

    async def nothing(request: Request) -> str:
        return request.method

    @made.get("/bare")
    async def bare() -> None: ...

    @made.get("/nothing")
    async def unguarded(_: Annotated[str, Depends(nothing)]) -> None: ...

    @made.get("/guard")
    async def guarded(_: Annotated[Principal, Depends(guard())]) -> None: ...

    @made.get("/role")
    async def editors(_: Annotated[Principal, Depends(guard(role="editor"))]) -> None: ...

    return made


def calling(loop: asyncio.AbstractEventLoop, served: FastAPI, path: str, token: str, requests: int) -> Batch:
    # the headers of a browser's fetch
    headers = [
        (b"host", b"app.example.com"), (b"user-agent", b"Mozilla/5.0"), (b"accept", b"application/json"),
        (b"accept-encoding", b"gzip, br"), (b"authorization", f"Bearer {token}".encode()),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(message)

    async def call() -> None:
        for _ in range(requests):
            await served(dict(scope), receive, send)

    def batch() -> float:
        started = time.thread_time()
        loop.run_until_complete(call())
        return (time.thread_time() - started) / requests * 1e6

    return batch


def verifying(token: str, times: int) -> Batch:
    pair, raw = split(token, ALGORITHM), primitive(ALGORITHM)

    def batch() -> float:
        started = time.thread_time()
        for _ in range(times):
            raw.verify(pair)
        return (time.thread_time() - started) / times * 1e6

    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=200)
    given = parser.parse_args()
    token = issue(many_claims(1)[0], our_key(ALGORITHM))
    loop, served = asyncio.new_event_loop(), app()
    paths = {BARE: "/bare", NOTHING: "/nothing", GUARD: "/guard", ROLE: "/role"}
    batches = {name: calling(loop, served, path, token, given.requests) for name, path in paths.items()}
    taken = medians(batches | {RAW: verifying(token, given.requests)}, rounds=given.rounds)
    loop.close()
    print(f"{'':32} {'µs':>6}   added / raw")
    for name in paths:
        print(f"{name:32} {taken[name]:6.1f}   {(taken[name] - taken[NOTHING]) / taken[RAW]:11.2f}")
    print(f"{'raw ES256 verification':32} {taken[RAW]:6.1f}   goal: {GOAL}")


if __name__ == "__main__":
    main()
