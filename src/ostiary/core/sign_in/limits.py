"""The limit per source: a `Check` on every step of every sign-in."""

from typing import Final

from ostiary.core.plug import Ambient, Attempt, Outcome, Source, count
from ostiary.core.sign_in.model import PASSWORD
from ostiary.store.hot import Rate

_STEPS: Final = Rate(10, 60)
"""Later steps from one source. Their own count, so that a second factor does not use up sign-ins."""


class SourceLimit:
    """Takes one for each step. An issued session gives the attempt's own back, and resets nothing: with somebody's
    right password an attacker must not be able to clear the count of wrong ones."""

    async def before(self, ambient: Ambient, attempt: Attempt) -> None:
        await count(ambient, *_counted(ambient, attempt.factor, attempt.source))

    async def after(self, ambient: Ambient, attempt: Attempt, outcome: Outcome) -> None:
        if outcome is not Outcome.SUCCEEDED:
            return
        await ambient.hot.give_back(*_counted(ambient, PASSWORD, attempt.opened_from), now=ambient.now())
        if attempt.factor != PASSWORD:
            await ambient.hot.give_back(*_counted(ambient, attempt.factor, attempt.source), now=ambient.now())


def _counted(ambient: Ambient, factor: str, source: Source) -> tuple[str, Rate]:
    if factor == PASSWORD:
        return f"login:{source.bucket}", ambient.settings.limit_login
    return f"login/{factor}:{source.bucket}", _STEPS
