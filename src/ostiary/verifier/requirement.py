"""What a route asks of its caller, beyond being somebody."""

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
from ostiary.verifier.principal import Principal

AAL1: Final = "urn:ostiary:aal:1"
AAL2: Final = "urn:ostiary:aal:2"
"""Values of ``acr``: one factor, and two of different kinds (SP 800-63B-4 §2)."""

_LEVELS: Final = {AAL1: 1, AAL2: 2}
_ACR_OF: Final = {level: acr for acr, level in _LEVELS.items()}

RoleMap: TypeAlias = Mapping[str, Collection[str]]
"""role → its permissions. Asked at each check, so a mapping that changes is followed."""


class Requirement:
    """All that is given must hold. Checked when it is made: a mistake shows at start-up and not as an open door.

    Args:
        role: A role, or several of which one suffices.
        permission: A permission that one of the caller's roles must have in ``role_map``.
        scope: A scope, or several separated by spaces, all of which the token must have.
        aal: 1 or 2: the assurance level of the sign-in.
        max_age: Seconds that the sign-in may be old.
        optional: Whether a caller without any credential passes too. A caller with one must still meet the rest.

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
            raise ConfigurationError("permissions cannot be checked here: roles are known, but not what they permit")

    def check(self, principal: Principal | None, *, now: float) -> None:
        """Returns if ``principal`` may pass at ``now`` (seconds since the epoch).

        Raises:
            MissingCredential: there is none, and it is not optional.
            Forbidden: the role or permission is missing.
            InsufficientScope: the token does not reach this far.
            InsufficientUserAuthentication: the sign-in was too weak or too long ago.
        """
        if principal is None:
            if not self._optional:
                raise MissingCredential
            return
        self._check_roles(principal)
        if self._scope is not None and not principal.scope.issuperset(self._scope.split()):
            raise InsufficientScope("a scope is missing", scope=self._scope)
        self._check_sign_in(principal, now)

    def _check_roles(self, principal: Principal) -> None:
        if self._roles and principal.roles.isdisjoint(self._roles):
            raise Forbidden("none of the roles that are needed")
        if self._permission is not None and self._role_map is not None:
            role_map = self._role_map
            if not any(self._permission in role_map.get(role, ()) for role in principal.roles):
                raise Forbidden("no role with the permission that is needed")

    def _check_sign_in(self, principal: Principal, now: float) -> None:
        weak = self._aal is not None and _LEVELS.get(principal.acr, 0) < self._aal
        stale = self._max_age is not None and not now - principal.auth_time <= self._max_age  # NaN is stale
        if weak or stale:
            raise InsufficientUserAuthentication(
                "the sign-in is too weak or too old",
                max_age=self._max_age,
                acr_values=None if self._aal is None else _ACR_OF[self._aal],
            )


def _checked_roles(role: str | tuple[str, ...] | None) -> frozenset[str]:
    if role is None:
        return frozenset()
    roles = (role,) if isinstance(role, str) else role
    if not isinstance(roles, tuple) or not roles or not all(isinstance(each, str) and each for each in roles):
        raise ConfigurationError("role must be a text that is not empty, or a tuple of such texts")
    return frozenset(roles)


def _checked_text(name: str, value: str | None) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be a text that is not empty")
    return value


def _checked_scope(scope: str | None) -> str | None:
    # RFC 6749 §3.3: what a scope is made of. The challenge quotes it.
    if scope is not None and not (isinstance(scope, str) and re.fullmatch(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", scope)):
        raise ConfigurationError("scope must be scopes separated by single spaces, without quotes")
    return scope


def _checked_number(name: str, value: int | None, *, least: int, most: int) -> int | None:
    if value is not None and (type(value) is not int or not least <= value <= most):
        raise ConfigurationError(f"{name} must be a whole number from {least} to {most}")
    return value
