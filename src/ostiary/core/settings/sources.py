"""Where values come from: arguments, the environment, files named by the environment, a toml file."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

from ostiary.core.settings.section import Section, Setting
from ostiary.errors import ConfigurationError

PREFIX: Final = "OSTIARY_"
FILE: Final = "_FILE"

_TOML: Final = Path("ostiary.toml")
_LONGEST: Final = 1024 * 1024  # bytes of a file that a variable names
_ROOT: Final = 0

# A Kubernetes Service or a linked Docker container whose name begins with `ostiary` sets these in other containers:
# kubernetes.io/docs/concepts/services-networking/service/#environment-variables
# docs.docker.com/engine/network/links/#environment-variables
_LINKS: Final = re.compile(
    r"OSTIARY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_ADDR|(_PORT)?(_START|_END)?)|ENV_.+)"
)
_LINKED_PORT: Final = re.compile(r"(tcp|udp|sctp)://.*")


class ConfigFile(Enum):
    """Which toml file is read when none is named."""

    IF_PRESENT = "ostiary.toml"
    """``ostiary.toml`` in the current folder, if there is one."""


Config: TypeAlias = str | os.PathLike[str] | ConfigFile | None


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it came, before conversion."""

    value: Any
    source: str


def from_arguments(arguments: Mapping[str, Any], sections: Sequence[Section]) -> dict[str, Given]:
    """Top-level keywords that are not None, and the fields that were passed to section objects."""
    found = {name: Given(value, "argument") for name, value in arguments.items() if value is not None}
    for section in sections:
        for field, value in section.given():
            found[f"{section.section}.{field}"] = Given(value, "argument")
    return found


def from_environment(environ: Mapping[str, str], settings: Sequence[Setting]) -> dict[str, Given]:
    """Names are looked up, never split. An empty variable counts as not set.

    Raises:
        ConfigurationError: a file that a variable names cannot be read, or both spellings are set.
    """
    found = {}
    for each in settings:
        value, path = environ.get(each.variable), environ.get(each.variable + FILE)
        if value and path:
            raise ConfigurationError(f"{each.variable} and {each.variable}{FILE} are both set: keep one of them")
        if value:
            found[each.name] = Given(value, each.variable)
        elif path:
            found[each.name] = Given(_contents(each.variable + FILE, Path(path)), each.variable + FILE)
    return found


def unknown_variables(environ: Mapping[str, str], settings: Sequence[Setting]) -> Iterator[str]:
    """``OSTIARY_…`` variables that no setting has and no container platform sets. A misspelt OSTIARY_PRODUCTION would
    otherwise start a development server without a word."""
    known = {name for each in settings for name in (each.variable, each.variable + FILE)}
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known and not is_link(variable, environ[variable]):
            yield variable


def links(environ: Mapping[str, str], settings: Sequence[Setting]) -> list[str]:
    """The variables that a container platform has set, and that are ignored."""
    known = {each.variable for each in settings}
    return [name for name in sorted(environ) if name not in known and is_link(name, environ[name])]


def is_taken(variable: str) -> bool:
    """Whether links may set the variable, so that no setting can have it."""
    return _LINKS.fullmatch(variable) is not None or variable.endswith("_PORT") or variable == f"{PREFIX}NAME"


def is_link(variable: str, value: str) -> bool:
    """Whether a variable is one that Kubernetes service links or Docker links set."""
    if _LINKS.fullmatch(variable):
        return True
    if not variable.startswith(PREFIX):
        return False
    is_port = variable.endswith("_PORT") and _LINKED_PORT.fullmatch(value) is not None
    is_name = variable.endswith("_NAME") and value.startswith("/")
    return is_port or is_name


def from_toml(config: Config) -> dict[str, Given]:
    """The settings of a file by their dotted names.

    Raises:
        ConfigurationError: the file cannot be read, or others can change it.
    """
    if config is None:
        return {}
    is_named = not isinstance(config, ConfigFile)
    path = _TOML if isinstance(config, ConfigFile) else Path(config)
    try:
        # without blocking: somebody may have put a pipe of this name into a shared folder
        with os.fdopen(os.open(path, os.O_RDONLY | (0 if is_named else os.O_NONBLOCK)), "rb") as file:
            _refuse_foreign(path, os.fstat(file.fileno()), named=is_named)
            members = tomllib.load(file)
    except FileNotFoundError as problem:
        if is_named:
            raise ConfigurationError(f"{path}: {problem.strerror}") from None
        return {}
    except OSError as problem:
        raise ConfigurationError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: it is nested too deeply") from None
    found = {}
    if dotted := next((name for name in members if "." in name), None):
        raise ConfigurationError(f"{path}: write {dotted!r} below [{dotted.partition('.')[0]}], without quotes")
    for name, member in members.items():
        inner = {f"{name}.{field}": value for field, value in member.items()} if isinstance(member, dict) else None
        for dotted, value in ({name: member} if inner is None else inner).items():
            found[dotted] = Given(value, str(path))
    return found


def _refuse_foreign(path: Path, state: os.stat_result, *, named: bool) -> None:
    """Who can write the configuration decides which database and secret count."""
    if not named and not stat.S_ISREG(state.st_mode):
        raise ConfigurationError(f"{path}: it is not a regular file. Name it with --config to use it anyway")
    if state.st_mode & stat.S_IWOTH:
        raise ConfigurationError(f"{path}: everybody can write it. Run: chmod o-w {path}")
    if not named and state.st_uid not in {os.geteuid(), _ROOT}:
        raise ConfigurationError(
            f"{path}: it belongs to another user (uid {state.st_uid}). Name it with --config (config=… in Python) "
            "to use it anyway"
        )


def _contents(variable: str, path: Path) -> str:
    # Docker and Kubernetes mount secrets readable for everybody in the container: reading is not restricted here
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise ConfigurationError(f"{variable}: everybody can write {path}. Run: chmod o-w {path}")
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ConfigurationError(f"{variable}: {path} is larger than {_LONGEST} bytes")
        return content.decode().rstrip("\r\n")
    except OSError as problem:
        raise ConfigurationError(f"{variable}: {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{variable}: {path} is not UTF-8 text") from None
