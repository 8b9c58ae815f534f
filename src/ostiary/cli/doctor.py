"""`ostiary doctor`: every setting, where it came from, what is wrong with it, and whether everything in it works."""

import dataclasses
from collections.abc import Sequence

from ostiary.cli.checks import Check, run_checks
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines, print_table
from ostiary.cli.refusal import REFUSED
from ostiary.cli.survey import Row, survey
from ostiary.errors import ConfigurationError


async def doctor(*, options: Options = Options()) -> int:
    """Say what is wrong with the settings and with what they name.

    Prints every setting, its value, where it came from and what is wrong with it. Changes nothing. The exit code is 1
    when something is wrong.
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
    rows: list[Row] = []
    try:
        rows = survey(options.loaded().findings)
        installation = options.installation()
    except ConfigurationError as problem:
        return rows, [Check("settings", ok=False, detail=str(problem))]
    return rows, [Check("settings", ok=True, detail="sound"), *await run_checks(installation)]


def _print(rows: Sequence[Row], checks: Sequence[Check], *, healthy: bool) -> None:
    shown = [(row.name, row.value, row.source, row.problem or "") for row in rows]
    print_table(("setting", "value", "from", "what is wrong"), shown)
    print_lines([""])
    print_table(("check", "", ""), [(check.name, "ok" if check.ok else "WRONG", check.detail) for check in checks])
    print_lines(["", "Nothing is wrong." if healthy else "Something is wrong: see above."])
