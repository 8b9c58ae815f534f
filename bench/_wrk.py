"""The load: wrk with persistent connections. Each sends its next request after it has checked the complete response.

wrk costs a tenth of what a client in Python costs, so the result is about the server.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

_SCRIPT: Final = Path(__file__).with_name("_wrk.lua")
_PATIENCE: Final = 30
"""Seconds until a response counts as lost."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What all connections send. A request contains one of the ``tokens``, as many as there are connections."""

    line: str
    """The method and the path."""
    headers: Sequence[str]
    """Without a body, the token follows the last one."""
    body: str = ""
    """``TOKEN`` stands for the token."""
    tokens: Sequence[str]
    pattern: str
    """What the body of every response must contain, as a Lua pattern."""
    rotates: bool = False
    """Whether the pattern captures the token that replaces the one that was sent."""

    def written(self) -> str:
        """The Lua file. A string of ASCII characters is written in Lua as it is in JSON."""
        head = f"{self.line} HTTP/1.1\r\nhost: 127.0.0.1\r\n" + "\r\n".join(self.headers)
        head += "\r\n" if self.body else ""
        fields = {"head": head, "body": self.body, "pattern": self.pattern, "rotates": self.rotates}
        written = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
        return f"return {{ {', '.join(written)}, tokens = {{ {', '.join(map(json.dumps, self.tokens))} }} }}"


class Round(NamedTuple):
    per_second: float
    median: float
    p99: float
    """Seconds."""
    requests: int


def run_round(port: int, load: Load, seconds: float) -> Round:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("The load generator wrk is missing. Install it as root: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(load.written())
        file.flush()
        command = [
            wrk,
            "-t1",
            f"-c{len(load.tokens)}",
            f"-d{seconds:g}s",
            f"--timeout={_PATIENCE}s",
            "-s",
            str(_SCRIPT),
            f"http://127.0.0.1:{port}",
        ]
        done = subprocess.run([*command, "--", file.name], check=False, capture_output=True, text=True)
    said = done.stdout or done.stderr
    outcome, _, result = said.strip().splitlines()[-1].partition(" ")
    if outcome != "measured":
        raise SystemExit(f"the load failed: {said[-1000:]}")
    requests, duration, median, p99 = map(float, result.split())
    return Round(requests / duration * 1e6, median / 1e6, p99 / 1e6, int(requests))
