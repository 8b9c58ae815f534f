"""Every door of an installation, in the name of one actor."""

from collections.abc import Callable
from typing import Generic

from ostiary.api.accounts import Accounts
from ostiary.api.audit import Audit
from ostiary.api.clients import Clients
from ostiary.api.devices import Devices
from ostiary.api.door import P, Page
from ostiary.api.keys import Keys
from ostiary.api.roles import Roles
from ostiary.api.sessions import Sessions
from ostiary.core.plug import Actor, Ambient

__all__ = ["Doors", "Page"]


class Doors(Generic[P]):
    """``accounts``, ``sessions``, ``devices``, ``roles``, ``clients``, ``keys`` and ``audit``. Every call is one
    transaction, checks what the actor may do, and is recorded."""

    def __init__(self, ambient: Callable[[], Ambient], actor: Actor) -> None:
        self.accounts: Accounts[P] = Accounts(ambient, actor)
        self.sessions: Sessions = Sessions(ambient, actor)
        self.devices: Devices = Devices(ambient, actor)
        self.roles: Roles = Roles(ambient, actor)
        self.clients: Clients = Clients(ambient, actor)
        self.keys: Keys = Keys(ambient, actor)
        self.audit: Audit = Audit(ambient, actor)
