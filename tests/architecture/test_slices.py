"""Optional slices are optional: without any one of them, or all, the rest assembles and does the main job."""

import ast
import re
import shutil
import subprocess
import sys

import pytest

from tests.architecture.source import SOURCE

SLICES = sorted(path.parent.name for path in (SOURCE / "ostiary" / "features").glob("*/__init__.py"))

MISSING = {"nothing": [], **{name: [name] for name in SLICES}, "every slice": SLICES}

MAIN_JOB = """
import asyncio, importlib, pathlib, pkgutil, sys
import httpx, ostiary
from starlette.applications import Starlette

assert pathlib.Path(ostiary.__file__).is_relative_to(sys.argv[1]), "not the copy"
for module in pkgutil.walk_packages(ostiary.__path__, "ostiary."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

PERSON = {"email": "ada@example.com", "password": "seven purple umbrellas sing"}
ISSUER = "http://127.0.0.1:8000"

async def main():
    auth = ostiary.Ostiary("sqlite:///slices.db", issuer=ISSUER, environ={})
    app = auth.middleware(Starlette())
    told, heard = asyncio.Queue(), asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
        await use(client)
    await told.put({"type": "lifespan.shutdown"})
    assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    await life

async def use(client):
    async def ask(method, path, status, token=None, **body):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = await client.request(method, path, headers=headers, **({"json": body} if body else {}))
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    await ask("POST", "/auth/register", 202, **PERSON)
    first = await ask("POST", "/auth/login", 200, **PERSON)
    await ask("GET", "/auth/me", 200, first["access_token"])
    second = await ask("POST", "/auth/refresh", 200, refresh_token=first["refresh_token"])
    await ask("GET", "/auth/me", 200, second["access_token"])
    await ask("POST", "/auth/logout", 204, refresh_token=second["refresh_token"])
    await ask("POST", "/auth/refresh", 401, refresh_token=second["refresh_token"])
    await ask("GET", "/auth/me", 401, second["access_token"])

asyncio.run(main())
print("done")
"""


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_without_a_slice_the_rest_does_the_main_job(tmp_path, missing):
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    for name in missing:
        shutil.rmtree(source / "ostiary" / "features" / name)
    app = source / "ostiary" / "app.py"
    app.write_text(_without(missing, app.read_text()))
    done = subprocess.run(
        [sys.executable, "-B", "-c", MAIN_JOB, source],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")


def test_each_slice_stands_in_the_one_list():
    app = (SOURCE / "ostiary" / "app.py").read_text()
    assert sorted(element.id for element in _features(app).elts) == SLICES


def _without(names, app):
    """Removes each slice's import line and its entry in ``FEATURES``: what a person would do, and no more."""
    for name in names:
        app, removed = re.subn(
            rf"^from ostiary\.features\.{name} import feature as {name}\n", "", app, flags=re.MULTILINE
        )
        assert removed == 1, f"app.py does not import the slice {name} on a line of its own"
    features = _features(app)
    kept = [element.id for element in features.elts if element.id not in names]
    listed = ast.get_source_segment(app, features)
    return app.replace(listed, "(" + "".join(f"{name}, " for name in kept) + ")")


def _features(app):
    """The tuple assigned to ``FEATURES``."""
    for statement in ast.parse(app).body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id == "FEATURES":
            return statement.value
    raise AssertionError("app.py has no FEATURES")
