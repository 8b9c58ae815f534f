"""All SQL statements on ``clients`` and ``client_resources``."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ostiary.core.clients.model import Registered
from ostiary.core.plug import Client
from ostiary.store.database import Reader, Row, Transaction


class Stored(NamedTuple):
    client: Client
    secret_hash: bytes


async def insert(tx: Transaction, client: Client, *, secret_hash: bytes, created_at: int) -> bool:
    """Inserts the client. Returns False if the name is taken."""
    inserted = await tx.execute(
        "insert into clients (id, name, secret_hash, created_at) values ($1, $2, $3, $4) on conflict (name) do nothing",
        client.id,
        client.name,
        secret_hash,
        created_at,
    )
    if not inserted:
        return False
    for resource in sorted(client.resources):
        await tx.execute("insert into client_resources (client_id, resource) values ($1, $2)", client.id, resource)
    return True


async def by_id(reader: Reader, client_id: str) -> Stored | None:
    """The client with this id. One statement, so that a client that is being deleted is never read without its
    resources."""
    rows = await reader.few(
        "select c.name, c.secret_hash, r.resource from clients c left join client_resources r on r.client_id = c.id"
        " where c.id = $1",
        client_id,
    )
    if not rows:
        return None
    name, secret_hash, _ = rows[0]
    return Stored(Client(client_id, name, _resources(row[2] for row in rows)), secret_hash)


async def every(reader: Reader) -> list[Registered]:
    """All clients, ordered by name."""
    rows = await reader.all(
        "select c.id, c.name, c.created_at, r.resource from clients c"
        " left join client_resources r on r.client_id = c.id order by c.name, c.id"
    )
    rows_of: dict[str, list[Row]] = {}
    for row in rows:
        rows_of.setdefault(row[0], []).append(row)
    return [_registered(of_one) for of_one in rows_of.values()]


async def have_resource(reader: Reader, resource: str) -> bool:
    return await reader.one("select 1 from client_resources where resource = $1 limit 1", resource) is not None


async def replace_secret(tx: Transaction, client_id: str, secret_hash: bytes) -> bool:
    return await tx.execute("update clients set secret_hash = $2 where id = $1", client_id, secret_hash) > 0


async def delete(tx: Transaction, client_id: str) -> bool:
    return await tx.execute("delete from clients where id = $1", client_id) > 0


def _registered(rows: Sequence[Row]) -> Registered:
    client_id, name, created_at, _ = rows[0]
    return Registered(Client(client_id, name, _resources(row[3] for row in rows)), created_at)


def _resources(found: Iterable[str | None]) -> frozenset[str]:
    return frozenset(resource for resource in found if resource is not None)
