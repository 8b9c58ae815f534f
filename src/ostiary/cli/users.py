"""`ostiary users …`: the same operations as over HTTP and in Python, performed as the operator."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ostiary.api import Account, Doors
from ostiary.cli.operator import operator
from ostiary.cli.options import All, Options, check_one_or_all
from ostiary.cli.output import print_fields, print_json, print_lines, print_table, rfc3339
from ostiary.cli.passwords import read_password
from ostiary.core.accounts.email import parse_email
from ostiary.core.typed import trimmed
from ostiary.errors import ConfigurationError, InvalidEmail, NotFound

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
    """Create an account. Prompts for the password.

    The e-mail address counts as verified.

    Args:
        email: The e-mail address to sign in with.
        role: A role in addition to "user". Repeatable.
        password_stdin: Read the password from the first line of stdin.
    """
    installation = options.present()
    password = read_password(from_stdin=password_stdin)
    async with installation.opened():
        api = installation.acting_as(operator())
        await _check_roles(api, role)
        made = await api.accounts.create(email=_checked(email), password=password, roles=role)
        await _print_account(api, made, json=options.json)


async def list_users(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=_MOST_LISTED))] = 100,
    after: str = "",
    options: Options = Options(),
) -> None:
    """List accounts, sorted by e-mail address.

    Args:
        limit: The maximum number of accounts to list.
        after: Continue the list after this address.
    """
    async with options.existing() as api:
        page = await api.accounts.list(after=trimmed(after).lower() or None, limit=limit)
    shown = [_shown(account) for account in page.items]
    if options.json:
        print_json({"users": shown, "next": page.next})
        return
    print_table(
        ("email", "id", "roles", "state", "created"),
        [(user["email"], user["id"], " ".join(user["roles"]), _state(user), user["created_at"]) for user in shown],
    )
    if page.next:
        print_lines([f"There are more accounts. Continue with: ostiary users list --after {page.next}"])


async def show(email: str, /, *, options: Options = Options()) -> None:
    """Show an account and its permissions.

    Args:
        email: The account's e-mail address.
    """
    async with options.existing() as api:
        await _print_account(api, await _find(api, email), json=options.json)


def _check_change(_: object, change: str) -> None:
    if change[:1] not in {"+", "-"} or not change[1:]:
        # not a ValueError, because cyclopts would print all changes as a Python tuple
        raise ConfigurationError(f"write +admin to add a role or -admin to remove it, not {change!r}")


async def roles(
    email: str,
    /,
    *changes: Annotated[str, Parameter(allow_leading_hyphen=True, required=True, validator=_check_change)],
    options: Options = Options(),
) -> None:
    """Add and remove roles.

    This takes effect at once: access tokens issued before the change are refused.

    Args:
        email: The account's e-mail address.
        changes: +role to add a role, -role to remove one.
    """
    add, remove = ({change[1:] for change in changes if change[0] == sign} for sign in "+-")
    async with options.existing() as api:
        await _check_roles(api, add | remove)
        found = await _find(api, email)
        await _print_account(api, await api.accounts.set_roles(found.id, add=add, remove=remove), json=options.json)


async def disable(email: str, /, *, options: Options = Options()) -> None:
    """Disable an account.

    This takes effect at once: nobody can sign in to the account, and its tokens are refused.

    Args:
        email: The account's e-mail address.
    """
    async with options.existing() as api:
        found = await _find(api, email)
        await _print_account(api, await api.accounts.disable(found.id), json=options.json)


async def enable(email: str, /, *, options: Options = Options()) -> None:
    """Enable a disabled account.

    Args:
        email: The account's e-mail address.
    """
    async with options.existing() as api:
        found = await _find(api, email)
        await _print_account(api, await api.accounts.enable(found.id), json=options.json)


async def logout(email: str | None = None, /, *, everybody: All = False, options: Options = Options()) -> None:
    """End every session of an account, or of all accounts.

    This takes effect at once.

    Args:
        email: The account's e-mail address.
        everybody: Sign out all accounts. The command does not ask for confirmation.
    """
    check_one_or_all(email, all_of_them=everybody)
    async with options.existing() as api:
        if email is None:
            await api.sessions.end_everybodys()
            shown: Shown = {"everybody": True}
        else:
            found = await _find(api, email)
            shown = {"email": found.email, "ended_sessions": await api.sessions.end_all(found.id)}
    if options.json:
        print_json(shown)
    else:
        print_lines(["everybody is signed out" if everybody else f"sessions ended: {shown['ended_sessions']}"])


async def sessions(email: str, /, *, options: Options = Options()) -> None:
    """List the sessions of an account, newest first.

    Args:
        email: The account's e-mail address.
    """
    async with options.existing() as api:
        found = await api.sessions.list((await _find(api, email)).id)
    shown = [
        {
            "id": each.id,
            "device": each.device_name,
            "ip": each.ip,
            "amr": list(each.amr),
            "created_at": rfc3339(each.created_at),
            "last_seen_at": rfc3339(each.last_seen_at),
        }
        for each in found
    ]
    if options.json:
        print_json({"sessions": shown})
    else:
        columns = ("id", "device", "ip", "created", "last seen")
        keys = ("id", "device", "ip", "created_at", "last_seen_at")
        print_table(columns, [tuple(str(each[key] or "-") for key in keys) for each in shown])


def _checked(email: str) -> str:
    """Names the invalid address in the error. Over HTTP, errors never repeat what was sent."""
    try:
        parse_email(email, private=True)  # the installation decides about private domains
    except InvalidEmail as problem:
        raise InvalidEmail(f"{email!r}: {problem.reason}") from None
    return email


async def _find(api: Doors[Any], email: str) -> Account[Any]:
    return await api.accounts.by_email(_checked(email))


async def _check_roles(api: Doors[Any], names: Collection[str]) -> None:
    known = {role.name for role in await api.roles.list()} if names else set()
    for name in sorted({*names} - known):
        raise NotFound(f"there is no role {name}. The roles are {', '.join(sorted(known))}.")


async def _print_account(api: Doors[Any], account: Account[Any], *, json: bool) -> None:
    shown = {**_shown(account), "permissions": list(await api.accounts.permissions(account.id))}
    if json:
        print_json(shown)
    else:
        print_fields(shown)


def _shown(account: Account[Any]) -> Shown:
    return {
        "email": account.email,
        "id": account.id,
        "roles": list(account.roles),
        "disabled": account.disabled,
        "verified": account.email_verified,
        "created_at": rfc3339(account.created_at),
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
    "sessions": sessions,
}
