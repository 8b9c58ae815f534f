"""Asks before something that cannot be undone."""

import sys

from ostiary.errors import ConfigurationError


def confirm(what: str, *, yes: bool) -> None:
    """Asks on a terminal. Elsewhere, ``yes`` must have been passed.

    Raises:
        ConfigurationError: it is not confirmed.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what}. This cannot be undone: pass --yes")
    if input(f"{what}. This cannot be undone. Continue? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise ConfigurationError("nothing was changed")
