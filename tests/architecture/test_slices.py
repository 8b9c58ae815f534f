"""Optional slices are optional. Without any one of them, or without all of them, the rest still works.

The settings of a slice, their documentation and its rate limits come and go with its folder and its line in the list.
"""

import filecmp
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT, SOURCE

LIST = "app/slices.py"
PAGE = ROOT / "docs" / "settings.md"

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
    auth = ostiary.Ostiary("sqlite:///slices.db", issuer=ISSUER, environ={}, config=None)
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


NEW_SLICE = {
    "__init__": """
from ostiary.core.plug import Feature
from ostiary.features.greeting.routes import ROUTES
from ostiary.features.greeting.settings import GreetingSettings

feature = Feature(name="greeting", settings=(GreetingSettings,), routes=ROUTES)
""",
    "settings": """
from dataclasses import dataclass
from typing import ClassVar

from ostiary.core.settings import Section, setting
from ostiary.store.hot import Rate


@dataclass(frozen=True, kw_only=True)
class GreetingSettings(Section):
    section: ClassVar[str] = "greeting"

    word: str = setting("The word of the greeting.", "hello", choices=("hello", "welcome"))
    limit: Rate = setting("Greetings per source.", Rate(100, 60))
""",
    "routes": """
import msgspec

from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, PerSource, Place, Policy, Route, Speaks
from ostiary.features.greeting.settings import GreetingSettings


class Greeting(msgspec.Struct, frozen=True):
    word: str


async def greet(call: Call[Empty]) -> Answer:
    return Answer(200, Greeting(call.ambient.settings.of(GreetingSettings).word))


ROUTES = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/greeting",
        summary="Greet",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.NONE,
            csrf=Csrf.SAFE,
            limit=PerSource(GreetingSettings, "limit"),
        ),
        handler=greet,
        body=Empty,
        query=Empty,
        answers={200: Greeting},
        errors=(),
    ),
)
""",
}

GREETINGS = """
import asyncio, json, sys
import httpx
from ostiary import Ostiary
from ostiary.features.greeting.settings import GreetingSettings

async def greetings(name, *sections):
    auth = Ostiary(f"sqlite:///{name}.db", *sections)
    transport = httpx.ASGITransport(auth.asgi)
    async with auth.opened(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answers = [await client.get("/auth/greeting") for _ in range(3)]
    return [[answer.status_code, answer.json().get("word")] for answer in answers]

async def main():
    print(json.dumps([await greetings("one"), await greetings("two", GreetingSettings(limit="2/hour"))]))

asyncio.run(main())
"""

SETTINGS = """
import json, os
from ostiary.app.slices import read_settings
from ostiary.core.settings import shown

findings = read_settings({}, config=None).findings
print(json.dumps([(finding.name, shown(finding.value), finding.problem) for finding in findings]))
"""


class Copy:
    """A copy of the source code. Tests remove slices from it and add slices to it."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "src"
        self.package = self.source / "ostiary"
        self.list = self.package / LIST
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns("__pycache__"))

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.package / "features" / name)
        self.list.write_text(_without(names, self.list.read_text()))

    def add(self, name, modules):
        folder = self.package / "features" / name
        folder.mkdir()
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
        self.list.write_text(_with(name, self.list.read_text()))

    def run(self, *arguments, **environ):
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(self.source), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def page(self):
        """docs/settings.md as generated from the copy."""
        return self.run(ROOT / "scripts" / "_settings_page.py")

    def settings(self, **environ):
        """The value and the problem of every setting, by name."""
        return {name: (value, problem) for name, value, problem in json.loads(self.run("-c", SETTINGS, **environ))}

    def changed(self):
        """The files and folders that differ from the original."""
        return sorted(_differing(filecmp.dircmp(SOURCE / "ostiary", self.package, ignore=["__pycache__"])))


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_the_rest_works_without_a_slice(copy, missing):
    copy.remove(*missing)
    assert copy.run("-c", MAIN_JOB, copy.source).endswith("done\n")


def test_an_unchanged_copy_has_the_settings_of_every_slice(copy):
    assert copy.changed() == []
    assert copy.page() == PAGE.read_text()
    assert copy.settings(OSTIARY_TOTP_LIMIT="3/day")["totp.limit"] == ("3/day", None)


def test_removing_a_slice_removes_its_settings_their_documentation_and_its_limits(copy):
    copy.remove("totp")
    assert copy.changed() == [LIST, "features/totp"]
    settings = copy.settings(OSTIARY_TOTP_LIMIT="3/day")
    assert [name for name in settings if name.startswith("totp.")] == []
    (problem,) = [problem for _, problem in settings.values() if problem]
    assert problem.startswith("OSTIARY_TOTP_LIMIT: there is no such setting")
    rows, before = copy.page().splitlines(), PAGE.read_text().splitlines()
    gone = [line for line in before if line not in rows]
    assert gone == [line for line in before if line.startswith(("## totp", "| `totp.", "In Python: `Totp"))]
    assert len(gone) > 1


def test_adding_a_slice_adds_its_settings_their_documentation_and_its_limits(copy):
    """No other file changes."""
    copy.add("greeting", NEW_SLICE)
    assert copy.changed() == [LIST, "features/greeting"]
    page = copy.page()
    assert "\n## greeting\n" in page
    assert "\n| `greeting.word` | `hello` | `hello`, `welcome` | The word of the greeting. |\n" in page
    assert "\n| `greeting.limit` | `100/minute` | a rate | Greetings per source. |\n" in page
    settings = copy.settings(
        OSTIARY_GREETING_LIMIT="1/hour", OSTIARY_GREETING_WORD="adieu", OSTIARY_GREETING_LIMITS="1"
    )
    assert settings["greeting.limit"] == ("1/hour", None)
    assert settings["greeting.word"][1] == "OSTIARY_GREETING_WORD: greeting.word must be hello or welcome, not 'adieu'"
    assert settings["OSTIARY_GREETING_LIMITS"][1].endswith("did you mean OSTIARY_GREETING_LIMIT?")
    from_environment, from_argument = json.loads(
        copy.run("-c", GREETINGS, OSTIARY_GREETING_LIMIT="1/hour", OSTIARY_GREETING_WORD="welcome")
    )
    assert from_environment == [[200, "welcome"], [429, None], [429, None]]
    assert from_argument == [[200, "welcome"], [200, "welcome"], [429, None]]


def test_the_list_contains_every_slice():
    assert sorted(re.findall(r'^    "(\w+)",$', (SOURCE / "ostiary" / LIST).read_text(), re.MULTILINE)) == SLICES


def _without(names, text):
    """Removes only each slice's line, as a developer would."""
    for name in names:
        text, removed = re.subn(rf'^    "{name}",\n', "", text, flags=re.MULTILINE)
        assert removed == 1, f"{LIST} has no line for the slice {name}"
    return text


def _with(name, text):
    """Adds only the slice's line, as a developer would."""
    text, added = re.subn(r"^(OPTIONAL: .* = \(\n)", rf'\1    "{name}",\n', text, flags=re.MULTILINE)
    assert added == 1, f"{LIST} has no list of slices"
    return text


def _differing(compared, folder=""):
    for name in (*compared.left_only, *compared.right_only, *compared.diff_files, *compared.funny_files):
        yield folder + name
    for name, inner in compared.subdirs.items():
        yield from _differing(inner, f"{folder}{name}/")
