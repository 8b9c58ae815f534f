"""fastapi-users: a protected route with tokens in the database (`DatabaseStrategy`), one Granian worker, SQLite."""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Final

from _wrk import Load

SERVED: Final = Path(__file__).parent / "served"
FOLDER: Final = SERVED.parents[2] / ".cache" / "bench-fastapi-users"
PACKAGES: Final = ("fastapi-users[sqlalchemy]>=15,<16", "aiosqlite", "granian")
PASSWORD: Final = "a door for every porter"


def install() -> str | None:
    """Installs the packages in their own environment. Returns the reason if that is not possible, or None."""
    python, installed = FOLDER / "bin" / "python", FOLDER / "installed"
    if installed.exists() and installed.read_text() == " ".join(PACKAGES):
        return None
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(FOLDER)],
        [str(python), "-m", "pip", "install", *PACKAGES],
    )
    for command in commands:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            return f"pip install failed: {done.stderr.strip()[-200:]}"
    installed.write_text(" ".join(PACKAGES))
    return None


def start(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    command = [str(FOLDER / "bin" / "python"), "-m", "granian", "--interface", "asgi", "--port", str(port)]
    command += ["--no-access-log", "--log-level", "error", "fastapi_users_app:app"]
    environ = {**os.environ, "PEER_DATABASE": f"sqlite+aiosqlite:///{folder / 'fastapi_users.db'}"}
    return subprocess.Popen(command, cwd=SERVED, env=environ)


def load(port: int, connections: int) -> Load:
    return Load(
        line="GET /me",
        headers=["authorization: Bearer "],
        tokens=[_sign_in(port, number) for number in range(connections)],
        pattern='"email":"bench%d+@example.com"',
    )


def _sign_in(port: int, number: int) -> str:
    email = f"bench{number}@example.com"
    account = {"email": email, "password": PASSWORD}
    _post(port, "/auth/register", json.dumps(account).encode(), "application/json")
    form = urllib.parse.urlencode({"username": email, "password": PASSWORD}).encode()
    return str(json.loads(_post(port, "/auth/login", form, "application/x-www-form-urlencoded"))["access_token"])


def _post(port: int, path: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers={"content-type": kind})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
