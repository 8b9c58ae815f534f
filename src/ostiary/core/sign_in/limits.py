"""The limit per source, a `Check` at every step of every sign-in, and the limit on new sessions per account."""

from ostiary.core.plug import Ambient, Attempt, Outcome, Source, count
from ostiary.core.sign_in.model import PASSWORD
from ostiary.core.sign_in.settings import SignInSettings
from ostiary.store.hot import Rate


class SourceLimit:
    """Counts each step. An issued session returns the counts of its own attempt but resets nothing. Otherwise an
    attacker who knows one valid password could clear the count of failed attempts."""

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
        return f"login:{source.bucket}", ambient.settings.of(SignInSettings).limit
    # counted separately, so that second factors do not use up sign-in attempts
    return f"login/{factor}:{source.bucket}", ambient.settings.of(SignInSettings).step_limit


async def take_session(ambient: Ambient, account_id: str) -> None:
    """Counts a session that is about to begin. Raises RateLimited if the account began too many.

    Callers must have proved the credentials of this step: the answer is about the account. Without this limit, the
    owner of one account could fill the disk, because the limit per source does not count successes.
    """
    await count(ambient, _sessions_of(account_id), ambient.settings.of(SignInSettings).account_limit)


async def give_session_back(ambient: Ambient, account_id: str) -> None:
    rate = ambient.settings.of(SignInSettings).account_limit
    await ambient.hot.give_back(_sessions_of(account_id), rate, now=ambient.now())


def _sessions_of(account_id: str) -> str:
    return f"login/sessions:{account_id}"
