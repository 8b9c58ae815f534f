"""Measures the processor time of one request in the server's process.

    scripts/bench cost [--postgres] [--source PATH ...] [--rounds 20] [--requests 256]

The unit is one raw ES256 verification of the `cryptography` library, measured between the requests in the same
process, so that the values of different machines can be compared. Each value is that of the fastest round, because
other work on the machine can only make a round slower. Requests are ASGI messages, without a socket. The refreshes are
durable. On PostgreSQL the values are the time in the application's process, without the server's.

--source also measures another source folder, such as an older checkout, in the same run: the rounds take turns. The
folder is the root of a checkout. Values marked with a star are those of the other folder.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from _servers import postgres

HERE: Final = Path(__file__).parent
GOALS: Final[dict[str, dict[str, float]]] = {
    "SQLite": {"refresh, 64 callers": 2.2, "/auth/me, 1 caller": 1, "/auth/me, 64 callers": 1, "guard, added": 0.2},
    "PostgreSQL": {"refresh, 64 callers": 8, "/auth/me, 1 caller": 4, "/auth/me, 64 callers": 4},
}
BEFORE: Final[dict[str, dict[str, float]]] = {
    "SQLite": {
        "refresh, 64 callers": 4.7,
        "/auth/me, 1 caller": 2.6,
        "/auth/me, 64 callers": 4.9,
        "guard, added": 0.44,
    },
    "PostgreSQL": {"refresh, 64 callers": 15, "/auth/me, 1 caller": 8.7, "/auth/me, 64 callers": 8.7},
}
"""Measured before requests were made cheaper."""


@dataclass
class Process:
    """One source folder on one engine."""

    engine: str
    source: Path
    process: "subprocess.Popen[str]"
    rounds: list[dict[str, float]] = field(default_factory=list)

    def run(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.rounds.append(json.loads(self._line()))

    def wait(self) -> None:
        if self._line() != "ready\n":
            raise SystemExit(f"{self.source} could not be measured")

    def fastest(self, name: str) -> float:
        """Other work on the machine can only make a round slower."""
        return min(each[name] for each in self.rounds)

    def multiples(self) -> dict[str, float]:
        works = {name: self.fastest(name) / self.fastest("raw") for name in self.rounds[0] if name != "raw"}
        return {"guard, added": works.pop("guarded") - works.pop("bare"), **works}

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextlib.contextmanager
def started(engine: str, source: Path, url: str, size: int) -> Iterator[Process]:
    environ = {**os.environ, "PYTHONPATH": str(source / "src")}
    command = [sys.executable, str(HERE / "_cost" / "measured.py"), url, str(size)]
    process = subprocess.Popen(command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Process(engine, source, process)
    finally:
        process.terminate()
        process.wait()


def processes(given: Any, stack: contextlib.ExitStack) -> Iterator[Process]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
    new_database = stack.enter_context(postgres()) if given.postgres else None
    for number, source in enumerate([HERE.parent, *given.source]):
        url = f"sqlite:///{folder / f'{number}.db'}"
        yield stack.enter_context(started("SQLite", source, url, given.requests))
        if new_database:
            url = new_database(f"cost{number}")
            yield stack.enter_context(started("PostgreSQL", source, url, given.requests))


def report(measured: list[Process]) -> None:
    raw = min(process.fastest("raw") for process in measured)
    print(f"one raw ES256 verification: {raw:.1f} µs; all other values are multiples of it")
    for engine in GOALS:
        ours, *others = [process.multiples() for process in measured if process.engine == engine] or [{}]
        for name, value in ours.items():
            goal, before = GOALS[engine].get(name), BEFORE[engine].get(name)
            if goal is None or before is None:
                continue
            also = "".join(f"   {other[name]:5.2f}*" for other in others)
            print(f"{engine:10} {name:22} {value:5.2f}{also}   goal {goal:4.1f}   was {before:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--source", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=256)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        measured = list(processes(given, stack))
        for process in measured:
            process.wait()
        for _ in range(given.rounds):
            for process in measured:
                process.run()
        report(measured)


if __name__ == "__main__":
    main()
