"""The Python API: what an application or script does with accounts, sessions, devices, roles, clients, keys and audit.

Each class here is a thin door to the verbs in `ostiary.core`: it names who acts and turns rows into values. It decides
nothing. `Ostiary` has one of each: ``auth.accounts``, ``auth.sessions``, …; values are immutable.
"""

from ostiary.api.accounts import Account, Accounts
from ostiary.api.audit import Audit
from ostiary.api.clients import ClientCredentials, Clients, ServiceClient
from ostiary.api.devices import Device, Devices
from ostiary.api.doors import Doors, Page
from ostiary.api.keys import Keys, RevokedKeys, SigningKeyInfo, UpcomingKey
from ostiary.api.roles import Role, Roles
from ostiary.api.sessions import Session, Sessions
from ostiary.core.audit.model import AuditEvent as Event
from ostiary.core.audit.model import Outcome
from ostiary.core.plug import WRITABLE, Actor

__all__ = [
    "WRITABLE",
    "Account",
    "Accounts",
    "Actor",
    "Audit",
    "ClientCredentials",
    "Clients",
    "Device",
    "Devices",
    "Doors",
    "Event",
    "Keys",
    "Outcome",
    "Page",
    "RevokedKeys",
    "Role",
    "Roles",
    "ServiceClient",
    "Session",
    "Sessions",
    "SigningKeyInfo",
    "UpcomingKey",
]
