"""`ostiary clients …`: services that ask in their own name, and the resources that access tokens are issued for."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ostiary.cli.options import Options
from ostiary.cli.output import moment, print_fields, print_json, print_lines, print_table
from ostiary.cli.users import operator
from ostiary.core.clients import queries, service
from ostiary.core.clients.model import checked_resources
from ostiary.core.plug import Ambient, Client
from ostiary.errors import Conflict, InvalidBody, NotFound

_SHOWN_ONCE: Final = "Keep the secret now: it is not shown again."


async def create(
    name: str,
    /,
    *,
    resource: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    options: Options = Options(),
) -> None:
    """Make a client and print its secret, which is not shown again.

    Args:
        name: What people call it.
        resource: The URL of a service for which it answers and access tokens may be asked; may be given several times.
    """
    async with options.existing() as ambient:
        _check_resources(ambient, resource)
        try:
            made = await service.create(ambient, operator(), name=name, resources=resource)
        except Conflict:
            raise Conflict(f"there is a client {name} already") from None
    _print_secret(made.client, made.secret, json=options.json)


async def list_clients(*, options: Options = Options()) -> None:
    """List the clients by name. No secret is shown: only its hash is known."""
    async with options.existing() as ambient:
        found = await queries.every(ambient.database)
    clients = [{**_shown(each.client), "created": moment(each.created_at)} for each in found]
    if options.json:
        print_json({"clients": clients})
    else:
        print_table(
            ("name", "id", "resources", "created"),
            [(each["name"], each["id"], " ".join(each["resources"]) or "-", each["created"]) for each in clients],
        )


async def rotate(client: str, /, *, options: Options = Options()) -> None:
    """Give a client another secret and print it. The former one is refused at once.

    Args:
        client: Its id or name.
    """
    async with options.existing() as ambient:
        found = await _find(ambient, client)
        secret = await service.rotate(ambient, operator(), found.id)
    _print_secret(found, secret, json=options.json)


async def delete(client: str, /, *, options: Options = Options()) -> None:
    """Remove a client. Access tokens for its resources are issued no more; those that are out run out.

    Args:
        client: Its id or name.
    """
    async with options.existing() as ambient:
        found = await _find(ambient, client)
        await service.delete(ambient, operator(), found.id)
    if options.json:
        print_json({"deleted": found.id})
    else:
        print_lines([f"deleted {found.name}"])


def _check_resources(ambient: Ambient, resources: tuple[str, ...]) -> None:
    """Says which one is wrong: over HTTP nothing that was sent is repeated, to an operator it is."""
    for resource in resources:
        try:
            checked_resources([resource], issuer=ambient.settings.issuer)
        except InvalidBody as problem:
            raise InvalidBody(f"{resource!r}: {problem.reason}") from None


async def _find(ambient: Ambient, named: str) -> Client:
    """No name looks like an id, so it is one or the other."""
    for each in await queries.every(ambient.database):
        if named in {each.client.id, each.client.name}:
            return each.client
    raise NotFound(f"there is no client {named}")


def _print_secret(client: Client, secret: str, *, json: bool) -> None:
    shown = {**_shown(client), "secret": secret}
    if json:
        print_json(shown)
    else:
        print_fields(shown)
        print_lines([_SHOWN_ONCE])


def _shown(client: Client) -> dict[str, Any]:
    return {"name": client.name, "id": client.id, "resources": sorted(client.resources)}


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "create": create,
    "list": list_clients,
    "rotate": rotate,
    "delete": delete,
}
