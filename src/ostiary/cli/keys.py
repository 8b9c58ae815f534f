"""`ostiary keys …`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ostiary.api import RevokedKeys
from ostiary.cli.operator import operator
from ostiary.cli.options import All, Options, check_one_or_all
from ostiary.cli.output import print_fields, print_json, print_lines, print_table, rfc3339

Kid = Annotated[str, Parameter(allow_leading_hyphen=True)]  # a key id is base64url, so one in 64 starts with a hyphen


async def jwks(*, options: Options = Options()) -> None:
    """Print the public keys as a JWK Set.

    The output is JSON with or without --json.
    """
    async with options.existing() as api:
        print_json(api.keys.jwks())


async def list_keys(*, options: Options = Options()) -> None:
    """List the signing keys."""
    async with options.existing() as api:
        found = await api.keys.list()
    keys = [
        {
            "kid": key.kid,
            "alg": key.alg,
            "state": key.state,
            "since": None if key.since is None else rfc3339(key.since),
            "created_at": rfc3339(key.created_at),
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
    """Publish the next signing key, and switch to it when every service can have fetched it.

    The switch happens after all cached copies of the public keys have expired. A running server makes it automatically.
    """
    async with options.existing() as api:
        upcoming = await api.keys.rotate()
    signs_from = rfc3339(upcoming.signs_from)
    if options.json:
        print_json({"kid": upcoming.kid, "alg": upcoming.alg, "signs_from": signs_from})
    else:
        print_fields({"kid": upcoming.kid, "alg": upcoming.alg, "signs from": signs_from})


async def revoke(kid: Kid | None = None, /, *, every: All = False, options: Options = Options()) -> None:
    """Revoke a signing key at once. Tokens signed with it are refused.

    If it was the current key, a new key signs immediately. Services that cache the public keys fetch them again when
    they see a token of the new key.

    Args:
        kid: The key id, as shown by `ostiary keys list`.
        every: Revoke all keys, including the next and the retired ones. Use this if the master secret has leaked.
    """
    check_one_or_all(kid, all_of_them=every)
    async with options.existing() as api:
        revoked = await api.keys.revoke_all() if kid is None else await api.keys.revoke(kid)
    if options.json:
        print_json({"revoked": revoked.kids, "successor": revoked.successor})
    else:
        print_lines(revocation(revoked))


def revocation(revoked: RevokedKeys) -> list[str]:
    """The lines to print about a revocation."""
    signing = [] if revoked.successor is None else [f"{revoked.successor} signs from now on"]
    return [*(f"revoked {kid}" for kid in revoked.kids), *signing]


async def rewrap(*, options: Options = Options()) -> None:
    """Seal all encrypted values in the database again, with the newest master secret.

    Put the new secret before the old one in OSTIARY_SECRET, restart the server, run this command, and remove the old
    secret. With several servers, first put the new secret after the old one. See docs/core/tokens.md.
    """
    async with options.installed() as installation:
        done = await installation.rewrap(operator())
    if options.json:
        print_json({"rewrapped": done})
    else:
        print_lines([f"{name}: {count} sealed again" for name, count in done.items()])


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "list": list_keys,
    "jwks": jwks,
    "rotate": rotate,
    "revoke": revoke,
    "rewrap": rewrap,
}
