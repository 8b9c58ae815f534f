"""`ostiary users …`: through the same verbs as over HTTP, in the name of the operating system's user."""

import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ostiary.cli.options import All, Options, check_one_or_all
from ostiary.cli.output import moment, print_fields, print_json, print_lines, print_table
from ostiary.cli.passwords import read_password
from ostiary.core.accounts import queries, registration, service
from ostiary.core.accounts.email import parse_email
from ostiary.core.accounts.model import Account
from ostiary.core.plug import Actor, Ambient
from ostiary.core.sessions.service import set_disabled, sign_out_everybody, sign_out_everywhere
from ostiary.errors import ConfigurationError, Conflict, InvalidEmail, NotFound

_MOST_LISTED: Final = 1000

Shown = dict[str, Any]


async def create(
    email: str,
    /,
    *,
    role: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    password_stdin: Annotated[bool, Parameter(negative=())] = False,
    options: Options = Options(),
) -> None:
    """Make an account, its address taken as verified. Asks for the password.

    Args:
        email: The address to sign in with.
        role: A role beside "user"; may be given several times.
        password_stdin: Read the password from the first line of stdin.
    """
    installation = options.present()
    password = read_password(from_stdin=password_stdin)
    async with installation.opened() as ambient:
        await _check_roles(ambient, role)
        account = await registration.create(ambient, operator(), email=email, password=password, roles=role)
        if account is None:
            raise Conflict(f"{email} has an account already")
        await _print_account(ambient, account, json=options.json)


async def list_users(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=_MOST_LISTED))] = 100,
    after: str = "",
    options: Options = Options(),
) -> None:
    """List accounts in the order of their addresses.

    Args:
        limit: How many at most.
        after: Go on after this address.
    """
    async with options.existing() as ambient:
        found = await queries.page(ambient.database, after=after.lower(), limit=limit + 1)
        shown = [await _shown(ambient, account) for account in found[:limit]]
    following = shown[-1]["email"] if len(found) > limit else None
    if options.json:
        print_json({"users": shown, "next": following})
        return
    print_table(
        ("email", "id", "roles", "state", "created"),
        [(user["email"], user["id"], " ".join(user["roles"]), _state(user), user["created"]) for user in shown],
    )
    if following:
        print_lines([f"There are more: ostiary users list --after {following}"])


async def show(email: str, /, *, options: Options = Options()) -> None:
    """Show an account.

    Args:
        email: Its address.
    """
    async with options.existing() as ambient:
        await _print_account(ambient, await _find(ambient, email), json=options.json)


def _check_change(_: object, change: str) -> None:
    if change[:1] not in {"+", "-"} or not change[1:]:
        # not a ValueError: cyclopts would show all of the changes, as a Python tuple
        raise ConfigurationError(f"a role is given as +admin and taken as -admin, not {change!r}")


async def roles(
    email: str,
    /,
    *changes: Annotated[str, Parameter(allow_leading_hyphen=True, required=True, validator=_check_change)],
    options: Options = Options(),
) -> None:
    """Give and take roles, effective at once: access tokens issued before are refused.

    Args:
        email: The account's address.
        changes: +role to give one, -role to take one.
    """
    add, remove = ({change[1:] for change in changes if change[0] == sign} for sign in "+-")
    async with options.existing() as ambient:
        await _check_roles(ambient, add | remove)
        account = await _find(ambient, email)
        await service.set_roles(ambient, operator(), account.id, add=add, remove=remove)
        await _print_account(ambient, account, json=options.json)


async def disable(email: str, /, *, options: Options = Options()) -> None:
    """Disable an account, effective at once: nobody signs in to it, and its tokens are refused.

    Args:
        email: Its address.
    """
    await _set_disabled(email, options, disabled=True)


async def enable(email: str, /, *, options: Options = Options()) -> None:
    """Enable an account that was disabled.

    Args:
        email: Its address.
    """
    await _set_disabled(email, options, disabled=False)


async def logout(email: str | None = None, /, *, everybody: All = False, options: Options = Options()) -> None:
    """End every session of an account, or of all accounts, effective at once.

    Args:
        email: The account's address.
        everybody: Sign out everybody there is. Nothing is asked first.
    """
    check_one_or_all(email, all_of_them=everybody)
    async with options.existing() as ambient:
        if email is None:
            await sign_out_everybody(ambient, operator())
            shown: Shown = {"everybody": True}
        else:
            account = await _find(ambient, email)
            ended = await sign_out_everywhere(ambient, operator(), account.id)
            shown = {"email": account.email, "ended_sessions": ended}
    if options.json:
        print_json(shown)
    else:
        print_lines(["everybody is signed out" if everybody else f"{shown['ended_sessions']} sessions ended"])


def operator() -> Actor:
    """Who is recorded: the user of the operating system, by its number, which no environment variable changes."""
    try:
        return Actor.operator(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container's user often has no name
        return Actor.operator(f"uid {os.getuid()}")


async def _set_disabled(email: str, options: Options, *, disabled: bool) -> None:
    async with options.existing() as ambient:
        account = await _find(ambient, email)
        await set_disabled(ambient, operator(), account.id, disabled=disabled)
        await _print_account(ambient, await _find(ambient, email), json=options.json)


async def _find(ambient: Ambient, email: str) -> Account:
    try:
        account = await queries.by_email(ambient.database, parse_email(email).key)
    except InvalidEmail as problem:
        raise InvalidEmail(f"{email!r}: {problem.reason}") from None
    if account is None:
        raise NotFound(f"there is no account {email}")
    return account


async def _check_roles(ambient: Ambient, names: Iterable[str]) -> None:
    known = await queries.role_names(ambient.database)
    for name in sorted(set(names) - known):
        raise NotFound(f"there is no role {name}, only {', '.join(sorted(known))}")


async def _print_account(ambient: Ambient, account: Account, *, json: bool) -> None:
    shown = await _shown(ambient, account)
    shown["permissions"] = list(await queries.permissions(ambient.database, account.id))
    if json:
        print_json(shown)
    else:
        print_fields(shown)


async def _shown(ambient: Ambient, account: Account) -> Shown:
    standing = await queries.standing(ambient.database, account.id)
    return {
        "email": account.email,
        "id": account.id,
        "roles": list(standing.roles) if standing else [],
        "disabled": account.disabled_at is not None,
        "verified": account.verified_at is not None,
        "created": moment(account.created_at),
    }


def _state(user: Shown) -> str:
    if user["disabled"]:
        return "disabled"
    return "active" if user["verified"] else "unverified"


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "create": create,
    "list": list_users,
    "show": show,
    "roles": roles,
    "disable": disable,
    "enable": enable,
    "logout": logout,
}
