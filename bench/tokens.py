"""Measures signing and verifying tokens, compared with Python and Node libraries and the bare primitive, in one run.

    scripts/bench tokens [--rounds 30] [--only HS256 …] [--steps] [--write]

Every contender gets the same keys, the same claims and the same distinct tokens. Each loads its keys in advance and
checks the signature, exp, iss and aud. Ostiary also checks typ, the types of all claims, and revocations. "raw" is the
cryptography library alone. --steps only shows where the time over raw goes. --write updates the section "Tokens" of
docs/benchmarks.md and its pictures.
"""

import argparse
import warnings
from typing import NamedTuple

from _tokens import curves, pictures, report
from _tokens.contenders import as_dict, libraries, primitive, split
from _tokens.material import ALGORITHMS, bad_tokens, fresh, issue, many_claims, our_key, our_public_key
from _tokens.node import Node, versions
from _tokens.rounds import Batch, batch_of, medians
from _tokens.steps import steps_over_raw

TOKENS = {"HS256": 100}
FEWER = 20
HMAC_TARGET, OVER_RAW_TARGET, CACHED_TARGET = 6.0, 4.0, 1.0  # microseconds
GARBAGE_TARGET, IMPORT_TARGET = 50.0, 60.0  # microseconds, milliseconds
METHOD = """\
Every contender gets the same keys, the same claims and the same distinct tokens. Each loads its keys in advance and
checks the signature, `exp`, `iss` and `aud`. Ostiary also checks `typ`, the types of all claims, duplicate names, ended
sessions, raised epochs and revoked tokens, with and without its cache. These checks cannot be turned off. *raw* is the
`cryptography` library alone, on a signature that is already decoded. No token library that uses it can be faster. The
number in brackets is the time relative to Ostiary without its cache. Measurements during which the kernel gave the
processor to another process are left out. *jose (Node)* runs in Node's thread pool, so its time includes waking the
threads."""

ABOUT_STEPS = """\
The steps with a hyphen are measured alone, in a loop of their own. Together they take about 4 µs, the goal for the
whole difference. The last row is the rest of the difference. Most of it is the same Python code, which has to wait for
memory: OpenSSL's tables have replaced it in the processor's caches. For ES256, 0.4 µs of it turns the signature into
the form that OpenSSL reads. No check can be left out, so the goal of raw + 4 µs is missed by 2 to 4 µs on this
machine."""

Work = dict[str, dict[str, float]]
"""algorithm → contender → microseconds"""


class Results(NamedTuple):
    sign: Work
    verify: Work
    steps: Work
    sizes: curves.Curve
    keys: curves.Curve
    garbage: dict[str, dict[str, float]]
    imports: dict[str, float]


def signing(algorithm: str, elsewhere: dict[str, Batch]) -> dict[str, Batch]:
    key, raw = our_key(algorithm), primitive(algorithm)
    claims = many_claims(TOKENS.get(algorithm, FEWER))
    plain, messages = [as_dict(each) for each in claims], [split(issue(each, key), algorithm)[1] for each in claims]
    batches = {
        "raw": batch_of(lambda: messages, raw.sign),
        "Ostiary": batch_of(lambda: claims, lambda each: issue(each, key)),
    }
    batches |= {name: batch_of(lambda: plain, each.sign) for name, each in libraries(algorithm).items()}
    return batches | elsewhere


def verifying(algorithm: str, elsewhere: dict[str, Batch]) -> dict[str, Batch]:
    key, raw = our_public_key(algorithm), primitive(algorithm)
    tokens = [issue(claims, our_key(algorithm)) for claims in many_claims(TOKENS.get(algorithm, FEWER))]
    pairs = [split(token, algorithm) for token in tokens]
    batches = {
        "raw": batch_of(lambda: pairs, raw.verify),
        "Ostiary": curves.uncached([key], tokens),
        "Ostiary, cached": curves.cached([key], tokens),
    }
    for name, library in libraries(algorithm).items():
        for bad in bad_tokens(algorithm):
            curves.must_refuse(library.verify)(bad)
        batches[name] = batch_of(lambda: fresh(tokens), library.verify)
    return batches | elsewhere


def measure(algorithms: list[str], rounds: int, node: Node | None) -> tuple[Work, Work]:
    signed: Work = {}
    verified: Work = {}
    for algorithm in algorithms:
        there: dict[str, dict[str, Batch]] = {"sign": {}, "verify": {}}
        if node is not None and algorithm != "ML-DSA-44":
            claims = many_claims(TOKENS.get(algorithm, FEWER))
            tokens = [issue(each, our_key(algorithm)) for each in claims]
            there = node.batches(algorithm, [as_dict(each) for each in claims], tokens)
        signed[algorithm] = medians(signing(algorithm, there["sign"]), rounds=max(3, rounds // 3))
        verified[algorithm] = medians(verifying(algorithm, there["verify"]), rounds=rounds)
    return signed, verified


def table_of(work: Work) -> list[list[str]]:
    """Returns one row for each contender: microseconds, and in brackets the time relative to Ostiary."""
    names = list(dict.fromkeys(name for row in work.values() for name in row))
    rows = [[name, *(_cell(name, row) for row in work.values())] for name in names]
    return [["µs (times Ostiary)", *work], *rows]


def _cell(name: str, row: dict[str, float]) -> str:
    if name not in row:
        return "-"
    ratio = "" if name == "Ostiary" else f" ({_number(row[name] / row['Ostiary'])})"
    return _number(row[name]) + ratio


def _number(value: float) -> str:
    """Formats at most three digits, because a benchmark is not more precise."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.3g}"


def measure_steps(algorithms: list[str], rounds: int) -> Work:
    asymmetric = [algorithm for algorithm in algorithms if algorithm != "HS256"]
    tokens = {each: [issue(claims, our_key(each)) for claims in many_claims(FEWER)] for each in asymmetric}
    return {each: steps_over_raw(each, tokens[each], rounds) for each in asymmetric}


def table_of_steps(steps: Work) -> list[list[str]]:
    names = list(next(iter(steps.values()), {}))
    return [["µs", *steps], *([name, *(f"{row[name]:.2f}" for row in steps.values())] for name in names)]


def table_of_curve(first: str, points: tuple[float, ...], curve: curves.Curve) -> list[list[str]]:
    rows = [[name, *map(_number, values)] for name, values in curve.items()]
    return [[first, *(f"{point:g}" for point in points)], *rows]


def table_of_garbage(garbage: dict[str, dict[str, float]]) -> list[list[str]]:
    names = list(next(iter(garbage.values())))
    return [["", *garbage], *([name, *(_number(row[name]) for row in garbage.values())] for name in names)]


def table_of_targets(results: Results) -> list[list[str]]:
    rows = [["goal", "limit", "measured", ""]]
    for algorithm, row in results.verify.items():
        limit = HMAC_TARGET if algorithm == "HS256" else row["raw"] + OVER_RAW_TARGET
        name = "" if algorithm == "HS256" else f" (raw + {OVER_RAW_TARGET:g})"
        rows.append(_judged(f"{algorithm} uncached, µs{name}", limit, row["Ostiary"]))
        rows.append(_judged(f"{algorithm} cached, µs", CACHED_TARGET, row["Ostiary, cached"]))
    worst = max(row["Ostiary"] for row in results.garbage.values())
    rows.append(_judged("garbage refused, µs, the worst kind", GARBAGE_TARGET, worst))
    rows.append(_judged("import ostiary.jose, ms", IMPORT_TARGET, results.imports["ostiary.jose"]))
    return rows


def _judged(goal: str, limit: float, value: float) -> list[str]:
    return [goal, _number(limit), _number(value), "" if value <= limit else "missed"]


VERIFY, STEPS, SIGN = "Verify", "Where the time over raw goes", "Sign"
BY_SIZE, BY_KEYS = "Verify HS256, µs by size of the token", "Verify ES256, µs by number of keys"


def parts(results: Results) -> dict[str, list[list[str]]]:
    return {
        VERIFY: table_of(results.verify),
        STEPS: table_of_steps(results.steps),
        SIGN: table_of(results.sign),
        BY_SIZE: table_of_curve("KiB", curves.SIZES, results.sizes),
        BY_KEYS: table_of_curve("keys", curves.KEYS, results.keys),
        "Refuse garbage, µs": table_of_garbage(results.garbage),
        "Import in a new process, processor time": [
            ["", "ms"],
            *([name, f"{value:.0f}"] for name, value in results.imports.items()),
        ],
        "Goals": table_of_targets(results),
    }


def drawn(results: Results) -> dict[str, tuple[str, str]]:
    """Maps each title to the picture's name and the picture."""
    return {
        VERIFY: ("tokens-verify", pictures.bars("Verify one token (logarithmic)", results.verify)),
        BY_SIZE: ("tokens-size", pictures.lines(BY_SIZE, curves.SIZES, " KiB", results.sizes)),
        BY_KEYS: ("tokens-keys", pictures.lines(BY_KEYS, curves.KEYS, " keys", results.keys)),
    }


def section_of(results: Results, node_versions: dict[str, str]) -> str:
    text, pictured = ["## Tokens", METHOD, f"Versions: {report.machine(node_versions)}."], drawn(results)
    for title, table in parts(results).items():
        text += [f"### {title}", report.markdown(table).strip()]
        if title == STEPS:
            text.append(ABOUT_STEPS)
        if title in pictured:
            text.append(f"![{title}]({report.write_picture(*pictured[title])})")
    return "\n\n".join(text)


def main() -> None:
    warnings.simplefilter("ignore")  # some libraries announce their next versions
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.steps:
        print(report.aligned(table_of_steps(measure_steps(given.only, given.rounds))), end="")
        return
    node = Node.start()
    if node is None:
        signed, verified = measure(given.only, given.rounds, None)
    else:
        with node:
            signed, verified = measure(given.only, given.rounds, node)
    results = Results(
        signed, verified, measure_steps(given.only, given.rounds),
        curves.by_size(given.rounds), curves.by_keys(given.rounds),
        curves.refuse_garbage(max(3, given.rounds // 3)), curves.imports(max(3, given.rounds // 4)),
    )  # fmt: skip
    for title, table in parts(results).items():
        print(f"\n{title}\n{report.aligned(table)}", end="")
    if given.write:
        report.write_section(section_of(results, {} if node is None else versions()))


if __name__ == "__main__":
    main()
