"""`ostiary doctor`: shows every setting with its source and its problem, and checks what the settings refer to."""

import dataclasses
from collections.abc import Sequence

from ostiary.cli.checks import Check, run_checks
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines, print_table
from ostiary.cli.refusal import REFUSED
from ostiary.cli.survey import Row, survey
from ostiary.errors import ConfigurationError


async def doctor(*, options: Options = Options()) -> int:
    """Check the settings, and the database, secret and servers that they name.

    Prints every setting with its value, its source and any problem. Changes nothing. Exits with 1 if there are any
    problems.
    """
    rows, checks = await _examine(options)
    healthy = all(row.problem is None for row in rows) and all(check.ok for check in checks)
    if options.json:
        print_json(
            {
                "healthy": healthy,
                "settings": [dataclasses.asdict(row) for row in rows],
                "checks": [dataclasses.asdict(check) for check in checks],
            }
        )
    else:
        _print(rows, checks, healthy=healthy)
    return 0 if healthy else REFUSED


async def _examine(options: Options) -> tuple[list[Row], list[Check]]:
    try:
        installation = options.installation()
    except ConfigurationError as problem:
        return _found(options), [Check("settings", ok=False, detail=str(problem))]
    checks = [Check("settings", ok=True, detail="valid"), *await run_checks(installation)]
    return survey(installation.findings), checks


def _found(options: Options) -> list[Row]:
    """The settings, right or wrong. None if a source cannot be read."""
    try:
        return survey(options.loaded().findings)
    except ConfigurationError:
        return []


def _print(rows: Sequence[Row], checks: Sequence[Check], *, healthy: bool) -> None:
    shown = [(row.name, row.value, row.source, row.problem or "") for row in rows]
    print_table(("setting", "value", "source", "problem"), shown)
    print_lines([""])
    print_table(("check", "", ""), [(check.name, _state(check), check.detail) for check in checks])
    print_lines(["", _summary(checks) if healthy else "There are problems. See above."])


def _summary(checks: Sequence[Check]) -> str:
    count = sum(check.warning for check in checks)
    if not count:
        return "No problems found."
    return f"No problems found, {count} {'warning' if count == 1 else 'warnings'}."


def _state(check: Check) -> str:
    if not check.ok:
        return "FAILED"
    return "warning" if check.warning else "ok"
