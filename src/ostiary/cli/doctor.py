"""`ostiary doctor`: every setting, where it came from, what is wrong with it, and whether what it names is there."""

import dataclasses
from collections.abc import Sequence

from ostiary.app import Ostiary
from ostiary.cli.checks import Check, run_checks
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines, print_table
from ostiary.cli.refusal import REFUSED
from ostiary.cli.survey import Finding, survey
from ostiary.errors import ConfigurationError


async def doctor(*, options: Options = Options()) -> int:
    """Say what is wrong with the settings and with what they name.

    Prints every setting, its value, where it came from and what is wrong with it. Changes nothing. The exit code is 1
    when something is wrong.
    """
    installation, checks = await _examine(options)
    findings = survey(options, installation.settings if installation else None)
    healthy = all(finding.problem is None for finding in findings) and all(check.ok for check in checks)
    if options.json:
        print_json(
            {
                "healthy": healthy,
                "settings": [dataclasses.asdict(finding) for finding in findings],
                "checks": [dataclasses.asdict(check) for check in checks],
            }
        )
    else:
        _print(findings, checks, healthy=healthy)
    return 0 if healthy else REFUSED


async def _examine(options: Options) -> tuple[Ostiary | None, list[Check]]:
    try:
        installation = options.installation()
    except ConfigurationError as problem:
        return None, [Check("settings", ok=False, detail=str(problem))]
    return installation, [Check("settings", ok=True, detail="sound"), *await run_checks(installation)]


def _print(findings: Sequence[Finding], checks: Sequence[Check], *, healthy: bool) -> None:
    rows = [(finding.name, finding.value, finding.source, finding.problem or "") for finding in findings]
    print_table(("setting", "value", "from", "what is wrong"), rows)
    print_lines([""])
    print_table(("check", "", ""), [(check.name, "ok" if check.ok else "WRONG", check.detail) for check in checks])
    print_lines(["", "Nothing is wrong." if healthy else "Something is wrong: see above."])
