"""Every setting as an operator sees it: its value, where it came from, what is wrong with it."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from ostiary.cli.options import Options
from ostiary.cli.output import in_words, without_password
from ostiary.core.settings import ENVIRONMENT_PREFIX, Secret, Settings, load
from ostiary.errors import ConfigurationError
from ostiary.store.hot import Rate

_DEFAULT: Final = "default"
_HIDDEN: Final = "hidden"
_UNITS: Final = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}

_SOUND: Final = {"issuer": "https://auth.example.com", "secret": "-", "smtp": "smtps://mail.example.com"}
"""What production asks for, so that another setting can be examined by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``value`` never holds a secret."""

    name: str
    value: str
    source: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Given:
    value: Any
    source: str


def survey(options: Options, settings: Settings | None) -> list[Finding]:
    """One finding for each setting, and one for each name that is none. ``settings`` is None where they cannot be
    loaded together; then each is examined by itself."""
    fields = {field.name: field.default for field in dataclasses.fields(Settings)}
    given = _given(options)
    found = []
    for name, default in fields.items():
        one = given.get(name, _Given(default, _DEFAULT))
        value = one.value if settings is None else getattr(settings, name)
        problem = _problem(name, one) if settings is None else None
        found.append(Finding(name, _shown(name, value), one.source, problem))
    unknown = [(name, one) for name, one in given.items() if name not in fields]
    return found + [Finding(name, _HIDDEN, one.source, "there is no such setting") for name, one in unknown]


def _given(options: Options) -> dict[str, _Given]:
    """What was given and by whom, in the order in which `load` takes it: later sources win."""
    found = {name: _Given(value, str(options.config)) for name, value in _from_toml(options).items()}
    for variable, value in sorted(os.environ.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable.isupper() and value:
            found[variable.removeprefix(ENVIRONMENT_PREFIX).lower()] = _Given(value, variable)
    if options.database is not None:
        found["database"] = _Given(options.database, "--database")
    return found


def _from_toml(options: Options) -> Mapping[str, Any]:
    try:
        return {} if options.config is None else tomllib.loads(options.config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # loading all of them says so


def _problem(name: str, given: _Given) -> str | None:
    if given.source == _DEFAULT:
        return None
    try:
        load({**_SOUND, name: given.value})
    except ConfigurationError as problem:
        return str(problem).removeprefix("argument: ")
    return None


def _shown(name: str, value: Any) -> str:
    if value is not None and get_type_hints(Settings)[name] == Secret | None:
        return _HIDDEN
    if isinstance(value, Rate):
        return f"{value.count}/{_UNITS.get(value.seconds, f'{value.seconds}s')}"
    return without_password(in_words(value))
