"""Reading a stored profile, for every door."""

import logging
from typing import Any, Final

from ostiary.core.plug import Profile, Unfit

_LOG: Final = logging.getLogger("ostiary.accounts")


def read_profile(shape: Profile[Any] | None, stored: str | None, *, account_id: str) -> tuple[Any, str | None]:
    """The profile, or None and why it does not fit the application's class any more. That is logged, too."""
    if shape is None:
        return None, None
    try:
        return shape.read(stored), None
    except Unfit as problem:
        _LOG.warning("profile.unfit", extra={"account": account_id, "reason": str(problem)})
        return None, str(problem)
