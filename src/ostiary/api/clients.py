"""``auth.clients``."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ostiary.api.door import Door, check_id
from ostiary.core.accounts.authority import check
from ostiary.core.clients import queries, service
from ostiary.core.clients.service import CLIENTS_WRITE
from ostiary.core.clock import exact_moment


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """A service client. ``resources`` are the audiences that it stands for. ``created_at`` is in UTC."""

    id: str
    name: str
    resources: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client's id and its new secret, which is shown now and never again."""

    id: str
    secret: str = field(repr=False)


class Clients(Door):
    """Service clients. Everything here needs the permission ``clients:write``."""

    async def create(self, *, name: str, resources: Iterable[str] = ()) -> ClientCredentials:
        """Makes a client.

        Raises:
            InvalidBody: a name or resource that is not allowed.
            Conflict: the name is taken.
            Forbidden: the actor lacks ``clients:write``.
        """
        made = await service.create(self._ambient, self._actor, name=name, resources=resources)
        return ClientCredentials(made.client.id, made.secret)

    async def list(self) -> tuple[ServiceClient, ...]:
        """Every client, by name. Secrets are not stored, only their hashes.

        Raises:
            Forbidden: the actor lacks ``clients:write``.
        """
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, CLIENTS_WRITE)
        return tuple(
            ServiceClient(
                id=each.client.id,
                name=each.client.name,
                resources=tuple(sorted(each.client.resources)),
                created_at=exact_moment(each.created_at),
            )
            for each in await queries.every(ambient.database)
        )

    async def rotate(self, client_id: str) -> ClientCredentials:
        """Gives a client a new secret. The former one is refused at once.

        Raises:
            NotFound: there is no such client.
            Forbidden: the actor lacks ``clients:write``.
        """
        check_id(client_id)
        return ClientCredentials(client_id, await service.rotate(self._ambient, self._actor, client_id))

    async def delete(self, client_id: str) -> None:
        """Removes a client. Access tokens for its resources are no longer issued, unless another client has them too.
        Tokens already issued stay valid until they expire.

        Raises:
            NotFound: there is no such client.
            Forbidden: the actor lacks ``clients:write``.
        """
        check_id(client_id)
        await service.delete(self._ambient, self._actor, client_id)
