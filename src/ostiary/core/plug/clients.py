"""Services that call in their own name: what is known of one, and who tells them apart."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Client:
    """A service that has shown its secret. ``resources`` are the audiences that it stands for: it is told of tokens for
    these, and of no others."""

    id: str
    name: str
    resources: frozenset[str]


class Clients(Protocol):
    async def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client with this id, if the secret is its own. None does not say whether there is such a client, and
        neither does the time it takes. Raises StoreUnavailable."""

    async def have_resource(self, resource: str) -> bool:
        """Whether any client stands for ``resource``: then access tokens may be asked for it."""
