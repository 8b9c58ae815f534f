"""``auth.roles``."""

from dataclasses import dataclass

from ostiary.api.door import Door
from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_READ, check


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    permissions: tuple[str, ...]


class Roles(Door):
    """Roles. ``auth.accounts.set_roles`` gives and takes them."""

    async def list(self) -> tuple[Role, ...]:
        """Every role, by name.

        Raises:
            Forbidden: the actor lacks ``users:read``.
        """
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, USERS_READ)
        found = await queries.role_map(ambient.database)
        return tuple(Role(name, tuple(sorted(found[name]))) for name in sorted(found))
