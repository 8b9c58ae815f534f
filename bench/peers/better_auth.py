"""better-auth: looks up the session in the cookie (GET /api/auth/get-session), with one Node process and SQLite."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Final

from _wrk import Load

SERVED: Final = Path(__file__).parent / "served"
FOLDER: Final = SERVED.parents[2] / ".cache" / "bench-better-auth"
PACKAGES: Final = {"better-auth": "^1.7", "better-sqlite3": "^12"}
PASSWORD: Final = "a door for every porter"


def install() -> str | None:
    """Installs the packages. Returns the reason if that is not possible, or None."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node or npm is not on the PATH"
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(SERVED / "better_auth.mjs", FOLDER)  # Node resolves modules from the folder of the script
    manifest, written = FOLDER / "package.json", json.dumps({"private": True, "dependencies": PACKAGES})
    if manifest.exists() and manifest.read_text() == written:
        return None
    command = [
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        *(f"{name}@{range_}" for name, range_ in PACKAGES.items()),
    ]
    done = subprocess.run(command, cwd=FOLDER, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return f"npm install failed: {done.stderr.strip()[-200:]}"
    manifest.write_text(written)
    return None


def start(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    command = ["node", str(FOLDER / "better_auth.mjs"), str(port), str(folder / "better_auth.db")]
    return subprocess.Popen(command, cwd=FOLDER, env={**os.environ, "NODE_ENV": "production"})


def load(port: int, connections: int) -> Load:
    return Load(
        line="GET /api/auth/get-session",
        headers=["cookie: "],
        tokens=[_sign_in(port, number) for number in range(connections)],
        pattern='"email":"bench%d+@example.com"',
    )


def _sign_in(port: int, number: int) -> str:
    origin, email = f"http://127.0.0.1:{port}", f"bench{number}@example.com"
    account = json.dumps({"name": email, "email": email, "password": PASSWORD}).encode()
    headers = {"content-type": "application/json", "origin": origin}
    request = urllib.request.Request(f"{origin}/api/auth/sign-up/email", data=account, headers=headers)
    with urllib.request.urlopen(request) as answer:
        cookie = re.match(r"[^;]+", answer.headers["set-cookie"])
    assert cookie is not None
    return cookie[0]
