"""What an audit event says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Detail: TypeAlias = Mapping[str, str | int | list[str]]


class Outcome(StrEnum):
    SUCCESS = "success"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """``type`` is ``<slice>.<what happened>``. ``detail`` never holds a password, token, code or secret."""

    type: str
    outcome: Outcome = Outcome.SUCCESS
    account_id: str | None = None
    session_id: str | None = None
    detail: Detail = field(default_factory=dict)
