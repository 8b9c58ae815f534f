"""Merging and checking: argument, then environment, then toml file, then default."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ostiary.core.settings import sources
from ostiary.core.settings.installation import Settings
from ostiary.core.settings.section import Section, Setting
from ostiary.core.settings.sources import Config, ConfigFile, Given
from ostiary.core.settings.values import converted, problem_with
from ostiary.errors import ConfigurationError

DEFAULT: Final = "default"

Rule: TypeAlias = Callable[[Settings], tuple[str, str] | None]
"""A rule that spans sections: the name of the setting to change and what is wrong, or None."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting, or one name that is none.

    ``source`` is ``argument``, the variable, the file or ``default``. ``value`` is as converted, or None where that
    failed. ``problem`` is one line that names setting and source.
    """

    name: str
    value: Any = field(repr=False)  # may be a URL with a password
    source: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that was read, right or wrong."""

    findings: tuple[Finding, ...]
    ignored: tuple[str, ...]
    """Variables of container platforms that were passed over."""
    candidate: Settings | None
    """None where some value could not be converted."""

    @property
    def settings(self) -> Settings:
        """Raises ConfigurationError with the first problem."""
        for finding in self.findings:
            if finding.problem is not None:
                raise ConfigurationError(finding.problem)
        if self.candidate is None:
            raise ConfigurationError("the settings are incomplete")
        return self.candidate

    def source_of(self, name: str) -> str:
        return next(finding.source for finding in self.findings if finding.name == name)


def load(
    stated: Sequence[type[Section]],
    sections: Sequence[Section] = (),
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Config = ConfigFile.IF_PRESENT,
    rules: Iterable[Rule] = (),
) -> Loaded:
    """Reads every setting of the stated sections and of the installation.

    Args:
        stated: the settings classes of the enabled slices.
        sections: objects that the application passed.
        arguments: top-level settings by name; None counts as not given.

    Raises:
        ConfigurationError: a source cannot be read, or a section object fits no enabled slice.
        TypeError: two settings have one name, or a name that cannot be used. A mistake of ours.
    """
    known = _known(stated)
    settings = tuple(known.values())
    _check_sections(stated, sections)
    environ = {} if environ is None else environ
    given = {
        **sources.from_toml(config),
        **sources.from_environment(environ, settings),
        **sources.from_arguments(arguments or {}, sections),
    }
    read = {name: _read(setting, given.get(name)) for name, setting in known.items()}
    top = _top_level(settings, read)
    findings = [_checked(setting, read[name], top) for name, setting in known.items()]
    findings += [_unknown_name(name, one, known) for name, one in given.items() if name not in known]
    findings += [_unknown_variable(name, known) for name in sources.unknown_variables(environ, settings)]
    candidate = _assembled(stated, settings, findings, top)
    if candidate is not None:
        findings = _ruled(findings, candidate, rules)
    return Loaded(tuple(findings), tuple(sources.links(environ, settings)), candidate)


def _known(stated: Sequence[type[Section]]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    variables: set[str] = set()
    sections: tuple[type[Section], ...] = (Settings, *stated)
    for setting in [setting for section in sections for setting in section.settings()]:
        if setting.name in found or setting.variable in variables:
            raise TypeError(f"two settings are called {setting.name} ({setting.variable})")
        if setting.name.endswith("_file") or sources.is_taken(setting.variable):
            raise TypeError(f"no setting can be called {setting.name}: container platforms or files use that name")
        if setting.section.section in found:
            raise TypeError(f"no section can be called {setting.section.section}: that is a setting")
        found[setting.name] = setting
        variables.add(setting.variable)
    return found


def _check_sections(stated: Sequence[type[Section]], sections: Sequence[Section]) -> None:
    for position, section in enumerate(sections):
        name = type(section).__name__
        if type(section) not in stated:
            raise ConfigurationError(f"{name}: no enabled slice has these settings")
        if any(type(other) is type(section) for other in sections[:position]):
            raise ConfigurationError(f"{name} is given twice")


def _read(setting: Setting, given: Given | None) -> Finding:
    if given is None:
        return Finding(setting.name, setting.default, DEFAULT)
    try:
        return Finding(setting.name, converted(given.value, setting.hint), given.source)
    except (TypeError, ValueError) as problem:
        line = _line(given.source, f"{setting.name} {problem}")
        return Finding(setting.name, None, given.source, line)


def _top_level(settings: Sequence[Setting], read: Mapping[str, Finding]) -> Settings:
    """The installation's own settings, with the default where a value could not be read: enough for other checks."""
    names = [setting.field for setting in settings if setting.section is Settings]
    return Settings(**{name: read[name].value for name in names if read[name].problem is None})


def _checked(setting: Setting, finding: Finding, top: Settings) -> Finding:
    if finding.problem is not None:
        return finding
    if finding.source == DEFAULT and setting.facts.default_from is not None:
        finding = dataclasses.replace(finding, value=getattr(top, setting.facts.default_from))
    problem = problem_with(finding.value, setting)
    if problem is None and setting.facts.check is not None:
        problem = setting.facts.check(finding.value, top)
    return finding if problem is None else _with(finding, f"{setting.name} {problem}")


def _assembled(
    stated: Sequence[type[Section]], settings: Sequence[Setting], findings: Sequence[Finding], top: Settings
) -> Settings | None:
    if any(finding.problem is not None for finding in findings):
        return None
    values = {finding.name: finding.value for finding in findings}
    fields: dict[type[Section], dict[str, Any]] = {section: {} for section in stated}
    for each in settings:
        if each.section is not Settings:
            fields[each.section][each.field] = values[each.name]
    return dataclasses.replace(top, sections={section: section(**fields[section]) for section in stated})


def _ruled(findings: Sequence[Finding], settings: Settings, rules: Iterable[Rule]) -> list[Finding]:
    broken = dict(found for rule in rules if (found := rule(settings)) is not None)
    return [
        _with(finding, f"{finding.name} {broken[finding.name]}") if finding.name in broken else finding
        for finding in findings
    ]


def _unknown_name(name: str, given: Given, known: Mapping[str, Setting]) -> Finding:
    line = _line(given.source, f"there is no setting {name!r}{_suggestion(name, known)}")
    return Finding(name, None, given.source, line)


def _unknown_variable(variable: str, known: Mapping[str, Setting]) -> Finding:
    # without the prefix, which would make every two variables look alike
    rest = variable.removeprefix(sources.PREFIX)
    hint = _suggestion(rest, [each.variable.removeprefix(sources.PREFIX) for each in known.values()], sources.PREFIX)
    return Finding(variable, None, variable, f"{variable}: there is no such setting{hint}")


def _suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _with(finding: Finding, problem: str) -> Finding:
    if finding.source.endswith(sources.FILE):
        # the variable may name the wrong file, such as that of a secret: nothing of it is shown
        texts = finding.value if isinstance(finding.value, tuple) else (finding.value,)
        for text in texts:
            problem = problem.replace(f", not {text!r}", "")
        finding = dataclasses.replace(finding, value=None)
    return dataclasses.replace(finding, problem=_line(finding.source, problem))


def _line(source: str, problem: str) -> str:
    """One line. What the application passed needs no source, and a default has none."""
    one_line = re.sub(r"\s+", " ", problem)
    return one_line if source in {"argument", DEFAULT} else f"{source}: {one_line}"
