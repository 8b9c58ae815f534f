"""How soon a revoked token is refused, where, and what it costs to know.

    scripts/bench revocation [--trials 200] [--only soon cost]

soon: from the answer to a logout until an access token of its session is refused: by the process that ended it, by
another worker (SQLite), another node (two servers on one PostgreSQL, notified or by polling alone), and by another
service that follows the signed feed. cost: verifying beside so many revocations, and the memory that one takes. Needs
Linux: it looks up which process answers a connection.
"""

import argparse
import tempfile
from pathlib import Path

from _revocation.costs import ALGORITHMS, Cost, TooLittleMemory, every_cost
from _revocation.refusals import Row, every_row

PARTS = ("soon", "cost")


def print_soon(trials: int) -> None:
    print(f"{trials} logouts each, one after the other, ms until the refusing answer is there")
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
    print("µs to verify a token, medians; bytes of resident memory")


def _line_of(cost: Cost | TooLittleMemory, columns: list[str]) -> str:
    if isinstance(cost, TooLittleMemory):
        return f"{cost.live:17,}  left out: it may take {cost.needed >> 20:,} MiB, and {cost.free >> 20:,} are free"
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
