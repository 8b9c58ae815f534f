"""The Node contenders. They run in a separate process that runs one batch per request."""

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final, Self

from _tokens.material import ISSUER, bad_tokens, private_key, private_pem, public_pem
from _tokens.rounds import Batch

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parent.parent / ".cache" / "bench-node"
PACKAGES: Final = {"fast-jwt": "^6", "jose": "^6", "jsonwebtoken": "^9"}
WARM_UP: Final = 0.3  # seconds for each contender, so that its code is compiled before it is measured


class Node:
    """Batches of the Node libraries. Use it as a context manager. `start` returns None if Node is not available."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    def start(cls) -> Self | None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            print("skipping the Node libraries: node or npm is not on the PATH")
            return None
        if not _install(npm):
            print("skipping the Node libraries: npm install failed")
            return None
        command = [node, str(FOLDER / "node.mjs")]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FOLDER))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def batches(self, algorithm: str, claims: list[dict[str, Any]], tokens: list[str]) -> dict[str, dict[str, Batch]]:
        """work → contender → a batch that is warmed up."""
        made: dict[str, dict[str, Batch]] = {"sign": {}, "verify": {}}
        for contender, works in self._prepare(algorithm, claims, tokens)["contenders"].items():
            for work in works:
                made[work][contender] = self._batch(contender, work)
        return made

    def _prepare(self, algorithm: str, claims: list[dict[str, Any]], tokens: list[str]) -> dict[str, Any]:
        key = private_key(algorithm)
        given: dict[str, Any] = {"algorithm": algorithm, "issuer": ISSUER, "claims": claims, "tokens": tokens}
        given["bad"] = bad_tokens(algorithm)
        if isinstance(key, bytes):
            given["secret"] = base64.b64encode(key).decode()
        else:
            given |= {"private": private_pem(algorithm).decode(), "public": public_pem(algorithm).decode()}
        return self._ask({"do": "prepare", **given})

    def _batch(self, contender: str, work: str) -> Batch:
        def batch() -> float:
            return self._ask({"do": "run", "contender": contender, "work": work})["micros"]

        until = time.perf_counter() + WARM_UP
        while time.perf_counter() < until:
            batch()
        return batch

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def versions() -> dict[str, str]:
    """Returns the installed versions of Node and its libraries."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    found = {"Node": node.stdout.strip("v\n")}
    for name in PACKAGES:
        found[name] = json.loads((FOLDER / "node_modules" / name / "package.json").read_text())["version"]
    return found


def _install(npm: str) -> bool:
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "node.mjs", FOLDER)  # Node resolves modules from the folder of the script
    manifest, written = FOLDER / "package.json", json.dumps({"private": True, "dependencies": PACKAGES})
    if manifest.exists() and manifest.read_text() == written and (FOLDER / "node_modules").exists():
        return True
    manifest.write_text(written)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    return subprocess.run(command, cwd=FOLDER, check=False, capture_output=True).returncode == 0
