"""`ostiary clients …`: service clients, and the resources that access tokens are issued for."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ostiary.api import Doors, ServiceClient
from ostiary.cli.operator import operator
from ostiary.cli.options import Options
from ostiary.cli.output import print_fields, print_json, print_lines, print_table, rfc3339
from ostiary.core.clients.model import checked_resources
from ostiary.errors import InvalidBody, NotFound

_SHOWN_ONCE: Final = "Save the secret now. It is not shown again."


async def create(
    name: str,
    /,
    *,
    resource: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    options: Options = Options(),
) -> None:
    """Create a service client and print its secret, which is not shown again.

    Args:
        name: The display name.
        resource: The URL of a service that the client represents. Access tokens can be requested for it. Repeatable.
    """
    async with options.installed() as installation:
        _check_resources(resource, issuer=installation.settings.issuer)
        api = installation.acting_as(operator())
        made = await api.clients.create(name=name, resources=resource)
        client = await _find(api, made.id)
    _print_secret(client, made.secret, json=options.json)


async def list_clients(*, options: Options = Options()) -> None:
    """List the clients by name. Secrets are not shown, because only their hashes are stored."""
    async with options.existing() as api:
        found = await api.clients.list()
    clients = [{**_shown(each), "created_at": rfc3339(each.created_at)} for each in found]
    if options.json:
        print_json({"clients": clients})
    else:
        print_table(
            ("name", "id", "resources", "created"),
            [(each["name"], each["id"], " ".join(each["resources"]) or "-", each["created_at"]) for each in clients],
        )


async def rotate(client: str, /, *, options: Options = Options()) -> None:
    """Give a client a new secret and print it. The old secret is refused at once.

    Args:
        client: The client's id or name.
    """
    async with options.existing() as api:
        found = await _find(api, client)
        rotated = await api.clients.rotate(found.id)
    _print_secret(found, rotated.secret, json=options.json)


async def delete(client: str, /, *, options: Options = Options()) -> None:
    """Delete a client. Access tokens for its resources are no longer issued.

    Tokens already issued stay valid until they expire.

    Args:
        client: The client's id or name.
    """
    async with options.existing() as api:
        found = await _find(api, client)
        await api.clients.delete(found.id)
    if options.json:
        print_json({"deleted": found.id})
    else:
        print_lines([f"deleted {found.name}"])


def _check_resources(resources: tuple[str, ...], *, issuer: str) -> None:
    """Names the invalid resource in the error. Over HTTP, errors never repeat what was sent."""
    for resource in resources:
        try:
            checked_resources([resource], issuer=issuer)
        except InvalidBody as problem:
            raise InvalidBody(f"{resource!r}: {problem.reason}") from None


async def _find(api: Doors[Any], named: str) -> ServiceClient:
    """Finds a client by id or name. A name never looks like an id."""
    for each in await api.clients.list():
        if named in {each.id, each.name}:
            return each
    raise NotFound(f"there is no client {named}")


def _print_secret(client: ServiceClient, secret: str, *, json: bool) -> None:
    shown = {**_shown(client), "secret": secret}
    if json:
        print_json(shown)
    else:
        print_fields(shown)
        print_lines([_SHOWN_ONCE])


def _shown(client: ServiceClient) -> dict[str, Any]:
    return {"name": client.name, "id": client.id, "resources": list(client.resources)}


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "create": create,
    "list": list_clients,
    "rotate": rotate,
    "delete": delete,
}
