"""``auth.sessions``."""

from dataclasses import dataclass
from datetime import datetime

from ostiary.api.door import Door, check_id
from ostiary.core.accounts.authority import USERS_READ, check
from ostiary.core.clock import exact_moment
from ostiary.core.sessions import queries, service


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is alive. Times are in UTC.

    ``last_seen_at`` is the newest refresh. ``ip`` and ``user_agent`` are those of the sign-in. ``amr`` says how the
    person signed in (RFC 8176). ``ends_at`` is when it ends unless it is refreshed before.
    """

    id: str
    account_id: str
    device_id: str | None
    device_name: str | None
    ip: str
    user_agent: str
    amr: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime
    ends_at: datetime


class Sessions(Door):
    """Sessions. Reading needs the permission ``users:read``, ending ``users:write``; owners need neither for theirs."""

    async def list(self, account_id: str) -> tuple[Session, ...]:
        """The account's sessions that are alive, the newest first.

        Raises:
            Forbidden: the account is not the actor's own, and it lacks ``users:read``.
        """
        check_id(account_id)
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, USERS_READ, own=account_id)
        live = await queries.live_of(ambient.database, account_id, now=ambient.now())
        return tuple(
            Session(
                id=each.session.id,
                account_id=each.session.account_id,
                device_id=each.session.device_id,
                device_name=each.session.device_name,
                ip=each.source,
                user_agent=each.user_agent,
                amr=each.session.amr,
                created_at=exact_moment(each.session.created_at),
                last_seen_at=exact_moment(each.last_seen_at),
                ends_at=exact_moment(each.session.ends_at),
            )
            for each in reversed(live)
        )

    async def end(self, session_id: str) -> None:
        """Ends a session, effective at once.

        Raises:
            NotFound: there is no such session that is alive, or it is somebody else's and the actor may not end it.
        """
        check_id(session_id)
        await service.end_one(self._ambient, self._actor, session_id)

    async def end_all(self, account_id: str) -> int:
        """Ends every session of an account, effective at once, and returns how many there were.

        Raises:
            NotFound: there is no such account.
            Forbidden: the account is not the actor's own, and it lacks ``users:write``.
        """
        check_id(account_id)
        return await service.sign_out_everywhere(self._ambient, self._actor, account_id)

    async def end_everybodys(self) -> None:
        """Ends every session of every account, effective at once.

        Raises:
            Forbidden: the actor lacks ``users:write``.
        """
        await service.sign_out_everybody(self._ambient, self._actor)
