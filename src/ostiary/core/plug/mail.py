"""A mail, and where it is handed in."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain-text mail to a stored address, never to an address that was only submitted."""

    to: str
    subject: str
    text: str


class Post(Protocol):
    """Takes mails. They are sent later, so that neither the answer nor its timing shows whether sending works."""

    def post(self, mail: Mail) -> None: ...
