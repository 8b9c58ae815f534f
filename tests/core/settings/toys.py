"""Settings of slices that do not exist, and what the loader says about them."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from ostiary.app.slices import read_settings
from ostiary.core.settings import Secret, Section, load, setting
from ostiary.errors import ConfigurationError
from ostiary.store.hot import Rate

ISSUER = "https://auth.example.com"
SECRET = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s"
HIDDEN = "hunter2-hunter2-hunter2-hunter2-hunter2-hunter2"


def _check_word(word, settings):
    return None if word.islower() else f"must be in lower case, not {word!r}"


@dataclass(frozen=True, kw_only=True)
class LampSettings(Section):
    section: ClassVar[str] = "lamp"

    power: int = setting("Watts of the lamp.", 40, least=1, most=100)
    colour: str = setting("The colour of the light.", "white", choices=("white", "red", "green"))
    name: str = setting("The name of the lamp.", "lamp", check=_check_word)
    on: bool = setting("Whether the lamp is on.", default=True)
    is_loud: bool = setting("Whether the lamp hums.", default=False, default_from="production")
    rooms: tuple[str, ...] = setting("Where it hangs.", ())
    limit: Rate = setting("How often it can be switched.", Rate(5, 60))
    key: Secret | None = setting("What opens it.", None)


@dataclass(frozen=True, kw_only=True)
class DoorSettings(Section):
    section: ClassVar[str] = "front_door"

    width: int = setting("Centimetres of the door.", 90, least=1, most=1000)


STATED = (DoorSettings, LampSettings)


def lamp(*sections, environ=None, config=None, **arguments):
    """The settings of the lamp."""
    return load(STATED, sections, arguments, environ=environ, config=config).settings.of(LampSettings)


def refused(*sections, environ=None, config=None, **top):
    """The line with which an installation is refused."""
    with pytest.raises(ConfigurationError) as problem:
        _ = read_settings(top, sections, config=config, environ=environ or {}).settings
    assert "\n" not in str(problem.value), "one line for the operator"
    return str(problem.value)
