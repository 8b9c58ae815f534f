"""`ostiary keys …`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary.cli.options import Options
from ostiary.cli.output import moment, print_json, print_table
from ostiary.core.tokens import queries


async def jwks(*, options: Options = Options()) -> None:
    """Print the public keys as a JWK Set.

    It is JSON with and without --json.
    """
    async with options.existing() as ambient:
        print_json({"keys": [key.to_jwk() for key in ambient.keys.published]})


async def list_keys(*, options: Options = Options()) -> None:
    """List the signing keys."""
    async with options.existing() as ambient:
        rows = await queries.signing_keys(ambient.database)
    keys = [{"kid": kid, "alg": alg, "state": state, "created": moment(made)} for kid, alg, state, _, made in rows]
    if options.json:
        print_json({"keys": keys})
    else:
        print_table(("kid", "alg", "state", "created"), [tuple(key.values()) for key in keys])


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {"list": list_keys, "jwks": jwks}
