"""Every setting as an operator sees it: its value, its source and its problem."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary.cli.output import without_password
from ostiary.core.settings import Finding, Settings, shown

_HIDDEN: Final = "hidden"
_NONE: Final = "-"
_MAY_HOLD_PASSWORDS: Final = {field.name for field in dataclasses.fields(Settings) if not field.repr}


@dataclass(frozen=True, slots=True)
class Row:
    """``value`` never holds a secret."""

    name: str
    value: str
    source: str
    problem: str | None


def survey(findings: Sequence[Finding]) -> list[Row]:
    """One row for each setting, and one for each unknown name."""
    return [_row(finding) for finding in findings]


def _row(finding: Finding) -> Row:
    source = "--database" if finding.name == "database" and finding.source == "argument" else finding.source
    problem = finding.problem and finding.problem.removeprefix(f"{finding.source}: ")
    value = _HIDDEN if _may_hold_a_secret(finding) else without_password(shown(finding.value)) or _NONE
    return Row(finding.name, value, source, problem)


def _may_hold_a_secret(finding: Finding) -> bool:
    """A value that could not be converted may be a secret in the wrong place. In a URL with a mistake, nobody knows
    where the password ends."""
    return finding.problem is not None and (finding.value is None or finding.name in _MAY_HOLD_PASSWORDS)
