"""The data of an audit event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

Detail: TypeAlias = Mapping[str, str | int | list[str] | tuple[str, ...]]


class Outcome(StrEnum):
    SUCCESS = "success"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """``type`` is ``<slice>.<what happened>``. ``detail`` never contains a password, token, code or secret."""

    type: str
    outcome: Outcome = Outcome.SUCCESS
    account_id: str | None = None
    session_id: str | None = None
    detail: Detail = field(default_factory=dict)


def frozen(detail: Detail) -> Detail:
    """A copy that cannot be changed, because several listeners share it."""
    copy = {name: tuple(value) if isinstance(value, list) else value for name, value in detail.items()}
    return MappingProxyType(copy)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A recorded event, as returned by queries and passed to listeners. ``at`` is in UTC."""

    id: str
    at: datetime
    type: str
    outcome: Outcome
    account_id: str | None
    session_id: str | None
    actor_kind: str
    actor_id: str
    source: str
    user_agent: str
    request_id: str
    detail: Detail
