"""``auth.audit``."""

from datetime import datetime
from typing import Final

from ostiary.api.door import Door, Page, check_text, checked_limit
from ostiary.core.accounts.authority import check
from ostiary.core.audit import queries
from ostiary.core.audit.model import AuditEvent
from ostiary.core.clock import MICROSECONDS
from ostiary.errors import InvalidBody

AUDIT_READ: Final = "audit:read"


class Audit(Door):
    """The audit log. Reading it needs the permission ``audit:read``; owners may read the events of their account."""

    async def events(
        self,
        *,
        account: str | None = None,
        type: str | None = None,  # noqa: A002 — what the field of an event is called
        since: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[AuditEvent]:
        """Events in the order of their time.

        A transaction that takes long commits an event whose time lies a little in the past. If you need every event,
        read the last minute again and skip the ids that you have seen.

        Args:
            account: only events of this account.
            type: only events of this type, such as ``sign_in.failed``.
            since: only events from this time on.
            after: ``next`` of the page before.
            limit: 1 to 1000.

        Raises:
            Forbidden: the account is not the actor's own, and it lacks ``audit:read``.
            InvalidBody: ``after`` is not from a page.
            ValueError: ``since`` has no time zone.
        """
        ambient, limit = self._ambient, checked_limit(limit)
        for name, text in (("account", account), ("type", type), ("after", after)):
            check_text(name, text or "")
        await check(ambient, ambient.database, self._actor, AUDIT_READ, own=account)
        at, after_id = _position(since, after)
        found = await queries.page(
            ambient.database, account_id=account, type_=type, at=at, after_id=after_id, limit=limit + 1
        )
        page = tuple(found[:limit])
        last = page[-1] if len(found) > limit else None
        return Page(page, None if last is None else f"{_microseconds(last.at)}.{last.id}")


def _position(since: datetime | None, after: str | None) -> tuple[int, str]:
    if since is not None and since.tzinfo is None:
        raise ValueError("since needs a time zone: datetime(…, tzinfo=UTC)")
    start = 0 if since is None else _microseconds(since)
    if after is None:
        return start, ""
    at, _, event_id = after.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) <= 18 and event_id.startswith("evt_")):
        raise InvalidBody("`after` is not the `next` of a page")
    return max((int(at), event_id), (start, ""))


def _microseconds(at: datetime) -> int:
    whole = int(at.timestamp())
    return whole * MICROSECONDS + at.microsecond
