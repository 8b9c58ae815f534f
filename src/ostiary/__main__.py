"""``ostiary``, ``python -m ostiary``: the command line, or the line that says what to install for it."""

import sys

NEEDS = "ostiary: the base install verifies tokens only. For the command line: pip install 'ostiary[server]'"

try:
    from ostiary.cli import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.startswith("ostiary"):
        raise

    def main() -> None:
        """The entry point, where the command line is not installed."""
        sys.exit(NEEDS)


if __name__ == "__main__":
    main()
