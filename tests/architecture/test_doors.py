"""Every verb has its doors: the Python API, HTTP and the command line are compared, so that none of them is forgotten.

A door that does not exist is listed with the reason. When it is built, the entry must change: a reason beside an
existing door fails too.
"""

import inspect
from dataclasses import dataclass

from cyclopts import App

from ostiary import Ostiary
from ostiary.api import Doors
from ostiary.cli import _command_line
from ostiary.core.plug import Actor


@dataclass(frozen=True)
class No:
    """There is no such door, because …"""

    because: str


NO_ADMIN_ROUTES = No("administration over HTTP is not built yet")
OWNERS_USE_HTTP = No("people do this over HTTP, in their own name")
READ_BY_SHOW = No("`users show` prints it")
NOT_FOR_OPERATORS = No("part of how a client works, not an administrative task")

# python verb: (HTTP route, command)
VERBS = {
    "accounts.get": ("GET /me", "users show"),
    "accounts.by_email": (NO_ADMIN_ROUTES, "users show"),
    "accounts.list": (NO_ADMIN_ROUTES, "users list"),
    "accounts.permissions": ("GET /me", "users show"),
    "accounts.create": (NO_ADMIN_ROUTES, "users create"),
    "accounts.update": ("PATCH /me", No("profiles are the application's: it changes them in Python")),
    "accounts.set_roles": (NO_ADMIN_ROUTES, "users roles"),
    "accounts.disable": (NO_ADMIN_ROUTES, "users disable"),
    "accounts.enable": (NO_ADMIN_ROUTES, "users enable"),
    "sessions.list": ("GET /sessions", "users sessions"),
    "sessions.end": ("DELETE /sessions/{id}", No("`users logout` ends all of an account")),
    "sessions.end_all": ("DELETE /sessions", "users logout"),
    "sessions.end_everybodys": (No("a mistake would sign everybody out; operators have the command"), "users logout"),
    "devices.list": ("GET /devices", No("not built yet")),
    "devices.forget": ("DELETE /devices/{id}", No("not built yet")),
    "roles.list": (NO_ADMIN_ROUTES, No("roles cannot be changed yet; errors name them")),
    "clients.create": (NO_ADMIN_ROUTES, "clients create"),
    "clients.list": (NO_ADMIN_ROUTES, "clients list"),
    "clients.rotate": (NO_ADMIN_ROUTES, "clients rotate"),
    "clients.delete": (NO_ADMIN_ROUTES, "clients delete"),
    "keys.list": (NO_ADMIN_ROUTES, "keys list"),
    "keys.rotate": (NO_ADMIN_ROUTES, "keys rotate"),
    "keys.revoke": (NO_ADMIN_ROUTES, "keys revoke"),
    "keys.revoke_all": (NO_ADMIN_ROUTES, "keys revoke"),
    "keys.jwks": ("GET /.well-known/jwks.json", "keys jwks"),
    "audit.events": (NO_ADMIN_ROUTES, No("not built yet")),
    "move_to_issuer": (No("operators move an installation"), "migrate"),
    "finish_restore": (No("operators restore backups"), "restored"),
    "rewrap": (No("operators rotate the master secret"), "keys rewrap"),
    "migrate": (No("operators migrate"), "migrate"),
    "pending": (No("operators migrate"), "doctor"),
    "openapi": ("GET /openapi.json", "openapi"),
}

OF_THE_OBJECT = {"move_to_issuer", "finish_restore", "rewrap", "migrate", "pending", "openapi"}
"""Verbs of `Ostiary` itself."""

ONLY_HTTP = {
    "POST /register": "people register themselves; applications create accounts",
    "GET /email/verify": "a page for people",
    "POST /email/verify": "the link of a mail proves the address",
    "POST /login": "sign-in needs the person",
    "POST /login/totp": "sign-in needs the person",
    "POST /login/recovery-code": "sign-in needs the person",
    "POST /password/change": "the person knows the current password",
    "POST /refresh": "a client's own token",
    "POST /logout": "a client's own token",
    "GET /devices/disown": "a page for people",
    "POST /devices/disown": "the link of a mail proves who it is",
    "POST /totp": "a person's own second factor",
    "POST /totp/confirm": "a person's own second factor",
    "DELETE /totp": "a person's own second factor",
    "GET /feed": "a protocol between servers",
    "POST /introspect": "a protocol between servers",
    "POST /revoke": "a protocol between servers",
    "GET /status/{number}": "a protocol between servers",
    "GET /.well-known/oauth-authorization-server": "a protocol between servers",
    "GET /healthz": "for load balancers",
    "GET /readyz": "for load balancers",
}

ONLY_COMMANDS = {
    "serve": "starts a server",
    "token inspect": "looks at a token, without an installation",
    "token verify": "looks at a token, without an installation",
}


def python_verbs() -> set[str]:
    doors = Doors(lambda: None, Actor.operator("test"))
    found = {
        f"{name}.{verb}"
        for name, door in vars(doors).items()
        for verb, method in inspect.getmembers(door, inspect.ismethod)
        if not verb.startswith("_")
    }
    return found | OF_THE_OBJECT


def http_routes() -> set[str]:
    paths = Ostiary(profile=Notes, environ={}, config=None).openapi()["paths"]
    return {
        f"{method.upper()} {path.removeprefix('/auth')}" for path, methods in paths.items() for method in methods
        if method in {"get", "post", "put", "patch", "delete"}
    }  # fmt: skip


def commands() -> set[str]:
    def below(app: App, prefix: str) -> set[str]:
        found = set()
        for name in app:
            if name.startswith("-"):
                continue
            inner = app[name]
            nested = [each for each in inner if not each.startswith("-")]
            found |= below(inner, f"{prefix}{name} ") if nested else {prefix + name}
        return found

    return below(_command_line(), "")


@dataclass
class Notes:
    """With a profile class, there is a route for changing it."""

    text: str = ""


def test_every_python_verb_is_in_the_table_and_every_entry_exists():
    assert python_verbs() == VERBS.keys()
    assert all(hasattr(Ostiary, verb) for verb in OF_THE_OBJECT)


def test_every_route_is_the_door_of_a_verb_or_has_a_reason_not_to_be():
    doors = {http for http, _ in VERBS.values() if isinstance(http, str)}
    assert doors.isdisjoint(ONLY_HTTP)
    assert http_routes() == doors | ONLY_HTTP.keys()


def test_every_command_is_the_door_of_a_verb_or_has_a_reason_not_to_be():
    doors = {command for _, command in VERBS.values() if isinstance(command, str)}
    assert doors.isdisjoint(ONLY_COMMANDS)
    assert commands() == doors | ONLY_COMMANDS.keys()


def test_every_reason_says_something():
    reasons = [door.because for doors in VERBS.values() for door in doors if isinstance(door, No)]
    assert all(len(reason) > 10 for reason in [*reasons, *ONLY_HTTP.values(), *ONLY_COMMANDS.values()])
