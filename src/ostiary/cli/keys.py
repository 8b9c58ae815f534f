"""`ostiary keys …`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ostiary.cli.options import All, Options, check_one_or_all
from ostiary.cli.output import moment, print_fields, print_json, print_lines, print_table
from ostiary.cli.users import operator
from ostiary.core.tokens.keys import queries, service

Kid = Annotated[str, Parameter(allow_leading_hyphen=True)]  # base64url: one in 64 begins with it


async def jwks(*, options: Options = Options()) -> None:
    """Print the public keys as a JWK Set.

    It is JSON with and without --json.
    """
    async with options.existing() as ambient:
        print_json({"keys": [key.to_jwk() for key in ambient.keys.published]})


async def list_keys(*, options: Options = Options()) -> None:
    """List the signing keys."""
    async with options.existing() as ambient:
        found = await queries.every(ambient.database)
    keys = [
        {
            "kid": key.kid,
            "alg": key.alg,
            "state": str(key.state),
            "since": None if key.since is None else moment(key.since),
            "created": moment(key.created_at),
        }
        for key in found
    ]
    if options.json:
        print_json({"keys": keys})
    else:
        print_table(
            ("kid", "alg", "state", "since", "created"), [tuple(v or "-" for v in key.values()) for key in keys]
        )


async def rotate(*, options: Options = Options()) -> None:
    """Have the next key sign as soon as every service can know it.

    That is when the longest time has passed for which others keep a copy of the public keys. A running server makes the
    switch by itself.
    """
    async with options.existing() as ambient:
        upcoming = await service.rotate(ambient, operator())
    signs_from = moment(upcoming.signs_from)
    if options.json:
        print_json({"kid": upcoming.kid, "alg": upcoming.alg, "signs_from": signs_from})
    else:
        print_fields({"kid": upcoming.kid, "alg": upcoming.alg, "signs from": signs_from})


async def revoke(kid: Kid | None = None, /, *, every: All = False, options: Options = Options()) -> None:
    """End a signing key at once: whoever has stolen it can sign nothing more. Its tokens are refused.

    In the place of the current key a new one signs immediately. Services that keep a copy of the public keys learn of
    it when they meet it.

    Args:
        kid: The key, as `ostiary keys list` shows it.
        every: All of them, the next and the retired ones too: for when the master secret is known to somebody.
    """
    check_one_or_all(kid, all_of_them=every)
    async with options.existing() as ambient:
        if kid is None:
            revoked = await service.revoke_all(ambient, operator())
        else:
            revoked = await service.revoke(ambient, operator(), kid)
    if options.json:
        print_json({"revoked": revoked.kids, "successor": revoked.successor})
    else:
        print_lines(revocation(revoked))


def revocation(revoked: service.Revoked) -> list[str]:
    """What is told of it."""
    signing = [] if revoked.successor is None else [f"{revoked.successor} signs from now on"]
    return [*(f"revoked {kid}" for kid in revoked.kids), *signing]


async def rewrap(*, options: Options = Options()) -> None:
    """Seal everything in the database with the newest master secret.

    Put the new secret before the old one in OSTIARY_SECRET, restart the server, run this, and take the old one away.
    With several servers put it after the old one first; see docs/core/tokens.md.
    """
    async with options.installed() as installation:
        done = await installation.rewrap(operator())
    if options.json:
        print_json({"rewrapped": done})
    else:
        print_lines([f"{name}: {count} sealed anew" for name, count in done.items()])


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "list": list_keys,
    "jwks": jwks,
    "rotate": rotate,
    "revoke": revoke,
    "rewrap": rewrap,
}
