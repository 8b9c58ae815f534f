"""Managing and authenticating service clients."""

import hmac
from collections.abc import Iterable
from typing import Final, NamedTuple

from ostiary.core.accounts.authority import act
from ostiary.core.audit.model import Event
from ostiary.core.clients import queries
from ostiary.core.clients.model import can_be_id, checked_name, checked_resources
from ostiary.core.entropy import identifier
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Client
from ostiary.errors import Conflict, NotFound
from ostiary.store.database import Database, Reader, Transaction
from ostiary.verifier import CLIENT_PREFIX

CLIENTS_WRITE: Final = "clients:write"

_NOBODYS: Final = bytes(32)  # no secret has this SHA-256 hash


class NewClient(NamedTuple):
    """``secret`` is available only now. It is not stored."""

    client: Client
    secret: str


class StoredClients:
    """The clients of the installation. Implements `ostiary.core.plug.Clients`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def authenticate(self, client_id: str, secret: str) -> Client | None:
        shown = fingerprint(secret, Purpose.CLIENT)
        if shown is None or not can_be_id(client_id):
            return None
        stored = await queries.by_id(self._database, client_id)
        is_its_own = hmac.compare_digest(stored.secret_hash if stored else _NOBODYS, shown)
        return stored.client if stored and is_its_own else None

    async def have_resource(self, reader: Reader, resource: str) -> bool:
        return await queries.have_resource(reader, resource)


async def create(ambient: Ambient, actor: Actor, *, name: str, resources: Iterable[str]) -> NewClient:
    """Creates a client.

    Raises:
        Forbidden: the actor lacks ``clients:write``.
        InvalidBody: the name or a resource is not valid.
        Conflict: the name is taken.
    """
    allowed = checked_resources(resources, issuer=ambient.settings.issuer)
    client = Client(identifier(CLIENT_PREFIX.rstrip("_"), ambient.random), checked_name(name), allowed)
    secret = new_token(Purpose.CLIENT, ambient.random)
    detail: dict[str, str | int | list[str]] = {"client": client.id, "name": name, "resources": sorted(allowed)}

    async def body(tx: Transaction) -> None:
        await act(ambient, tx, actor, CLIENTS_WRITE, Event("clients.created", detail=detail))
        if not await queries.insert(tx, client, secret_hash=secret.fingerprint, created_at=ambient.now()):
            raise Conflict(f"there is already a client named {name!r}")

    await ambient.database.transaction(body)
    return NewClient(client, secret.text)


async def rotate(ambient: Ambient, actor: Actor, client_id: str) -> str:
    """Gives a client a new secret and returns it. From now on every process refuses the old one.

    Raises:
        Forbidden: the actor lacks ``clients:write``.
        NotFound: there is no such client.
    """
    secret = new_token(Purpose.CLIENT, ambient.random)

    async def body(tx: Transaction) -> None:
        await act(ambient, tx, actor, CLIENTS_WRITE, Event("clients.rotated", detail={"client": client_id}))
        if not await queries.replace_secret(tx, client_id, secret.fingerprint):
            raise NotFound(f"no client {client_id}")

    await ambient.database.transaction(body)
    return secret.text


async def delete(ambient: Ambient, actor: Actor, client_id: str) -> None:
    """Deletes a client, and its resources unless another client has them too.

    Raises:
        Forbidden: the actor lacks ``clients:write``.
        NotFound: there is no such client.
    """

    async def body(tx: Transaction) -> None:
        await act(ambient, tx, actor, CLIENTS_WRITE, Event("clients.deleted", detail={"client": client_id}))
        if not await queries.delete(tx, client_id):
            raise NotFound(f"no client {client_id}")

    await ambient.database.transaction(body)
