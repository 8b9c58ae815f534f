"""Measures how soon a revoked token is refused in each place, and what it costs to hold revocations in memory.

    scripts/bench revocation [--trials 200] [--only soon cost]

soon: the time from the response to a logout until an access token of the session is refused. It is measured for the
process that ended the session, another worker (SQLite), another node (two servers on one PostgreSQL, with notifications
or only polling), and another service that follows the signed feed.

cost: the time to verify a token by number of live revocations, and the memory that one revocation takes.

This benchmark requires Linux, because it looks up which process serves a connection.
"""

import argparse
import tempfile
from pathlib import Path

from _revocation.costs import ALGORITHMS, Cost, TooLittleMemory, every_cost
from _revocation.refusals import Row, every_row

PARTS = ("soon", "cost")


def print_soon(trials: int) -> None:
    print(f"{trials} sequential logouts per row, ms until the token is refused")
    print(f"{'':52} {'p50':>7} {'p99':>7} {'goal':>7}")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for row in every_row(Path(folder), trials):
            print(
                f"{row.where:52} {row.percentile(50) * 1000:7.1f} {row.percentile(99) * 1000:7.1f} {_goal(row)}",
                flush=True,
            )


def _goal(row: Row) -> str:
    if row.target is None:
        return f"{'':>7}"
    return f"{row.target * 1000:7.0f}{' missed' if row.percentile(99) > row.target else ''}"


def print_cost() -> None:
    columns = [name for algorithm in ALGORITHMS for name in (algorithm, f"{algorithm}, cached")]
    print(f"{'live revocations':>17}" + "".join(f"{name:>15}" for name in columns) + f"{'bytes each':>12}")
    for cost in every_cost():
        print(_line_of(cost, columns))
    print("median µs to verify a token; bytes of resident memory for each revocation")


def _line_of(cost: Cost | TooLittleMemory, columns: list[str]) -> str:
    if isinstance(cost, TooLittleMemory):
        return f"{cost.live:17,}  skipped: may need {cost.needed >> 20:,} MiB, only {cost.free >> 20:,} MiB are free"
    times = "".join(f"{cost.microseconds[name]:15.2f}" for name in columns)
    return f"{cost.live:17,}{times}" + (f"{'-':>12}" if cost.bytes_each is None else f"{cost.bytes_each:12.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    if "soon" in given.only:
        print_soon(given.trials)
    if "cost" in given.only:
        print_cost()


if __name__ == "__main__":
    main()
