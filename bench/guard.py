"""Measures what FastAPI's guard adds to a route, in the processor time of one request in the process.

    scripts/bench guard [--rounds 60]

The same route is called as an ASGI app, without a server: bare, with a dependency that does nothing, and with a guard.
The token is in the verifier's cache, as it is after a caller's first request. The goal is a fifth of one raw ES256
verification: the `cryptography` library alone, measured in the same run. Rounds are interleaved, and pieces during
which the kernel gave the processor to another process are left out. Compare the ratios.
"""

import argparse
import contextlib
from typing import Annotated, Any, Final

from _tokens.contenders import primitive, split
from _tokens.material import ISSUER, issue, many_claims, our_key, our_public_key
from _tokens.rounds import Batch, batch_of, medians
from fastapi import Depends, FastAPI, Request

from ostiary import Principal, TokenAuthenticator, Verifier
from ostiary.integrations.fastapi import Guard
from ostiary.verifier import KnownRevocations

ALGORITHM: Final = "ES256"
REQUESTS: Final = 200
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


def calling(served: FastAPI, path: str, token: str) -> Batch:
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

    def call(own_scope: dict[str, Any]) -> None:
        """Runs the app without an event loop, because nothing here waits."""
        with contextlib.suppress(StopIteration):
            served(own_scope, receive, send).send(None)
            raise RuntimeError("the app waits for something")

    return batch_of(lambda: [dict(scope) for _ in range(REQUESTS)], call)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    given = parser.parse_args()
    token = issue(many_claims(1)[0], our_key(ALGORITHM))
    pair, raw, served = split(token, ALGORITHM), primitive(ALGORITHM), app()
    paths = {BARE: "/bare", NOTHING: "/nothing", GUARD: "/guard", ROLE: "/role"}
    batches = {name: calling(served, path, token) for name, path in paths.items()}
    taken = medians(batches | {RAW: batch_of(lambda: [pair] * REQUESTS, raw.verify)}, rounds=given.rounds)
    print(f"{'':32} {'µs':>6}   added / raw")
    for name in paths:
        print(f"{name:32} {taken[name]:6.1f}   {(taken[name] - taken[NOTHING]) / taken[RAW]:11.2f}")
    print(f"{'raw ES256 verification':32} {taken[RAW]:6.1f}   goal: {GOAL}")


if __name__ == "__main__":
    main()
