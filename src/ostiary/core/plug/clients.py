"""Service clients and their authentication."""

from dataclasses import dataclass
from typing import Protocol

from ostiary.store.database import Reader


@dataclass(frozen=True, slots=True)
class Client:
    """A service that has authenticated with its secret. ``resources`` are its audiences. It gets information about
    tokens for these audiences only."""

    id: str
    name: str
    resources: frozenset[str]


class Clients(Protocol):
    async def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client with this id, if the secret is correct. Neither None nor the response time reveals whether the
        client exists. Raises StoreUnavailable."""

    async def have_resource(self, reader: Reader, resource: str) -> bool:
        """Whether any client has ``resource``. If so, access tokens can be requested for it."""
