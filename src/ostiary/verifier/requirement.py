"""What a route requires of an authenticated caller."""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from ostiary.errors import (
    ConfigurationError,
    Forbidden,
    InsufficientScope,
    InsufficientUserAuthentication,
    MissingCredential,
)
from ostiary.verifier.limits import MAX_LEEWAY
from ostiary.verifier.principal import Principal

AAL1: Final = "urn:ostiary:aal:1"
AAL2: Final = "urn:ostiary:aal:2"
"""Values of ``acr``: one factor, and two factors of different kinds (SP 800-63B-4 §2)."""

_LEVELS: Final = {AAL1: 1, AAL2: 2}
_ACR_OF: Final = {level: acr for acr, level in _LEVELS.items()}

RoleMap: TypeAlias = Mapping[str, Collection[str]]
"""role → its permissions. It is read at each check, so changes take effect immediately."""


class Requirement:
    """The requirements of a route. A caller must meet all of them.

    The arguments are checked when the object is created, so a mistake fails at start-up instead of admitting callers.

    Args:
        role: A role, or several roles. The caller needs one of them.
        permission: A permission that one of the caller's roles must have in ``role_map``.
        scope: A scope, or several separated by spaces. The token needs all of them.
        aal: The assurance level of the sign-in, 1 or 2.
        max_age: The maximum age of the sign-in in seconds.
        optional: Whether callers without a credential are admitted. Callers with one must still meet the requirements.
        role_map: The permissions of each role.

    Raises:
        ConfigurationError: a value that could never hold or never fail, or a permission without a role map.
    """

    __slots__ = ("_aal", "_max_age", "_optional", "_permission", "_role_map", "_roles", "_scope")

    def __init__(
        self,
        *,
        role: str | tuple[str, ...] | None = None,
        permission: str | None = None,
        scope: str | None = None,
        aal: int | None = None,
        max_age: int | None = None,
        optional: bool = False,
        role_map: RoleMap | None = None,
    ) -> None:
        self._roles = _checked_roles(role)
        self._permission = _checked_text("permission", permission)
        self._scope = _checked_scope(scope)
        self._aal = _checked_number("aal", aal, least=1, most=max(_ACR_OF))
        self._max_age = _checked_number("max_age", max_age, least=0, most=10**9)
        self._optional = optional
        self._role_map = role_map
        if permission is not None and role_map is None:
            raise ConfigurationError("permission cannot be checked without a role map: pass role_map, or use role")

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` requires the same, with the same role map object."""
        return isinstance(other, Requirement) and self._parts() == other._parts() and self._role_map is other._role_map

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[object, ...]:
        return self._roles, self._permission, self._scope, self._aal, self._max_age, self._optional

    def check(self, principal: Principal | None, *, now: float) -> None:
        """Checks that ``principal`` meets the requirements at ``now`` (seconds since the epoch).

        Raises:
            MissingCredential: there is no principal, and the credential is not optional.
            Forbidden: the role or permission is missing.
            InsufficientScope: the token does not have the required scope.
            InsufficientUserAuthentication: the sign-in was too weak or too long ago.
        """
        if principal is None:
            if not self._optional:
                raise MissingCredential
            return
        self._check_roles(principal)
        if self._scope is not None and not principal.scope.issuperset(self._scope.split()):
            raise InsufficientScope(f"scope: the token needs {self._scope}", scope=self._scope)
        self._check_sign_in(principal, now)

    def _check_roles(self, principal: Principal) -> None:
        if self._roles and principal.roles.isdisjoint(self._roles):
            raise Forbidden(f"roles: the caller needs one of {', '.join(sorted(self._roles))}")
        if self._permission is not None and self._role_map is not None:
            role_map = self._role_map
            if not any(self._permission in role_map.get(role, ()) for role in principal.roles):
                raise Forbidden(f"roles: the caller needs a role with the permission {self._permission}")

    def _check_sign_in(self, principal: Principal, now: float) -> None:
        weak = self._aal is not None and _LEVELS.get(principal.acr, 0) < self._aal
        # A sign-in in the future is stale: our clock was set back, so its age is unknown. NaN is stale too.
        stale = self._max_age is not None and not -MAX_LEEWAY <= now - principal.auth_time <= self._max_age
        if weak or stale:
            raise InsufficientUserAuthentication(
                "acr: the sign-in is too weak" if weak else "auth_time: the sign-in is too old",
                max_age=self._max_age,
                acr_values=None if self._aal is None else _ACR_OF[self._aal],
            )


def _checked_roles(role: str | tuple[str, ...] | None) -> frozenset[str]:
    if role is None:
        return frozenset()
    roles = (role,) if isinstance(role, str) else role
    if not isinstance(roles, tuple) or not roles or not all(isinstance(each, str) and each for each in roles):
        raise ConfigurationError("role must be a string that is not empty, or a tuple of such strings")
    return frozenset(roles)


def _checked_text(name: str, value: str | None) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be a string that is not empty")
    return value


def _checked_scope(scope: str | None) -> str | None:
    # RFC 6749 §3.3: the characters that a scope may have. The challenge quotes the scope.
    if scope is not None and not (isinstance(scope, str) and re.fullmatch(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", scope)):
        raise ConfigurationError("scope must be one or more scopes separated by single spaces, without quotes")
    return scope


def _checked_number(name: str, value: int | None, *, least: int, most: int) -> int | None:
    if value is not None and (type(value) is not int or not least <= value <= most):
        raise ConfigurationError(f"{name} must be a whole number from {least} to {most}")
    return value
