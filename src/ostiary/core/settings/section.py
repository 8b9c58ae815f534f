"""How a slice states its settings."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, get_type_hints

from ostiary.core.settings.secret import Secret

Check: TypeAlias = Callable[[Any, Any], str | None]
"""Takes the value and the installation's `Settings` without sections. Returns what is wrong as the end of a sentence
that begins with the setting's name (``must be …``), or None."""

_KEY = "setting"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a field says about its setting, besides type and default."""

    doc: str
    least: int | None
    most: int | None
    choices: tuple[str, ...]
    check: Check | None
    default_from: str | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one section."""

    section: "type[Section]"
    field: str
    hint: Any
    default: Any
    facts: Facts

    @property
    def name(self) -> str:
        """``sessions.limit``; without a section, ``issuer``."""
        return f"{self.section.section}.{self.field}" if self.section.section else self.field

    @property
    def variable(self) -> str:
        """``OSTIARY_SESSIONS_LIMIT``."""
        return "OSTIARY_" + self.name.replace(".", "_").upper()


def setting(
    doc: str,
    default: Any = dataclasses.MISSING,
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[str, ...] = (),
    check: Check | None = None,
    default_from: str | None = None,
    shown: bool = True,
) -> Any:
    """A field of a `Section`.

    Args:
        doc: one or two sentences for operators. Generated documentation and `ostiary doctor` show them.
        least, most: bounds of a whole number, both included.
        choices: the texts that are allowed.
        check: any other rule.
        default_from: the top-level setting whose value is the default.
        shown: False keeps the value out of the repr, for URLs that may hold a password.
    """
    facts = Facts(doc, least, most, choices, check, default_from)
    return dataclasses.field(default=default, repr=shown, metadata={_KEY: facts})


class Section:
    """The base of settings classes. A subclass is a frozen, keyword-only dataclass whose fields are made by
    `setting`; ``section`` is its name in toml files and variables.

    An instance remembers which fields were passed. Only those override environment and toml file:
    ``SessionSettings(limit=5)`` says nothing about the other settings of its section.
    """

    section: ClassVar[str] = ""

    if not TYPE_CHECKING:  # type checkers take the dataclass's own signature

        def __new__(cls, *_args: Any, **given: Any) -> Self:
            made = super().__new__(cls)
            object.__setattr__(made, "_given", frozenset(given))
            return made

    def __post_init__(self) -> None:
        # before anything can print the object: a secret may be passed as a plain text
        for each in self.settings():
            value = getattr(self, each.field)
            if each.hint == Secret | None and isinstance(value, str):
                object.__setattr__(self, each.field, Secret(value))

    def given(self) -> Iterator[tuple[str, Any]]:
        """Name and value of each field that was passed to the constructor."""
        passed: frozenset[str] = getattr(self, "_given", frozenset())
        return ((name, getattr(self, name)) for name in sorted(passed))

    @classmethod
    def settings(cls) -> list[Setting]:
        """Every setting of this section, in the order of its fields."""
        hints = get_type_hints(cls)
        return [
            Setting(cls, field.name, hints[field.name], field.default, field.metadata[_KEY])
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
            if _KEY in field.metadata
        ]
