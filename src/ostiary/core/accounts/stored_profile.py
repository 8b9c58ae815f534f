"""Reading a stored profile, for every door. One that does not fit the application's class any more is reported."""

import logging
from collections.abc import Callable
from typing import Any, Final

from ostiary.core.plug import Profile, Unfit

_LOG: Final = logging.getLogger("ostiary.accounts")


def read_profile(shape: Profile[Any] | None, stored: str | None, *, account_id: str) -> tuple[Any, str | None]:
    """An instance of the application's class, or None and why it does not fit."""
    return (None, None) if shape is None else _reported(shape.read, stored, account_id=account_id)


def show_profile(shape: Profile[Any], stored: str | None, *, account_id: str) -> dict[str, Any] | None:
    """The profile as JSON values, or None where it does not fit."""
    shown: dict[str, Any] | None = _reported(shape.plain, stored, account_id=account_id)[0]
    return shown


def _reported(read: Callable[[str | None], Any], stored: str | None, *, account_id: str) -> tuple[Any, str | None]:
    try:
        return read(stored), None
    except Unfit as problem:
        _LOG.warning("profile.unfit", extra={"account": account_id, "reason": str(problem)})
        return None, str(problem)
