"""``auth.devices``."""

from dataclasses import dataclass
from datetime import datetime

from ostiary.api.door import Door, check_id
from ostiary.core.accounts.authority import USERS_READ, check
from ostiary.core.clock import exact_moment
from ostiary.core.devices import queries, service


@dataclass(frozen=True, slots=True)
class Device:
    """A device that an account has signed in from. Times are in UTC. ``ip`` and ``user_agent`` are those of the newest
    sign-in."""

    id: str
    name: str
    ip: str
    user_agent: str
    first_seen_at: datetime
    last_seen_at: datetime


class Devices(Door):
    """Devices. Reading needs the permission ``users:read``, forgetting ``users:write``; owners need neither for
    theirs."""

    async def list(self, account_id: str) -> tuple[Device, ...]:
        """The account's devices, the one seen last first.

        Raises:
            Forbidden: the account is not the actor's own, and it lacks ``users:read``.
        """
        check_id(account_id)
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, USERS_READ, own=account_id)
        return tuple(
            Device(
                id=each.id,
                name=each.name,
                ip=each.source,
                user_agent=each.user_agent,
                first_seen_at=exact_moment(each.first_seen_at),
                last_seen_at=exact_moment(each.last_seen_at),
            )
            for each in await queries.of_account(ambient.database, account_id)
        )

    async def forget(self, device_id: str) -> None:
        """Forgets a device. Its sessions end, effective at once.

        Raises:
            NotFound: there is no such device, or it is somebody else's and the actor may not forget it.
        """
        check_id(device_id)
        await service.forget_one(self._ambient, self._actor, device_id)
