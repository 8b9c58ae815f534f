"""Who acts, and from where. Every function that changes state takes an `Actor`."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ostiary.verifier import Principal

FIRST_PARTY: Final = "client_first_party"
"""The built-in client, for callers that authenticate their user and not themselves."""

_IPV6_NETWORK: Final = 64  # one household or server usually has a /64, so its addresses count as one source


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from: the address of the socket, or the one that a trusted proxy reports."""

    address: str

    @property
    def bucket(self) -> str:
        """The key for rate limits: the IPv4 address, or the /64 network of an IPv6 address."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((int(address), _IPV6_NETWORK), strict=False))
        return str(address)


class ActorKind(StrEnum):
    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    CLIENT = "client"
    """A service that has authenticated with its secret."""
    OPERATOR = "operator"
    """The user of the command line, who has the secret of the database. May do everything, and is recorded."""
    APPLICATION = "application"
    """The code that Ostiary is embedded in. May do everything, and is recorded."""
    SYSTEM = "system"
    """Ostiary itself, such as its housekeeping."""


_TRUSTED: Final = frozenset({ActorKind.OPERATOR, ActorKind.APPLICATION, ActorKind.SYSTEM})

_APPLICATION: Final = "application"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``id`` is the id of the account or client. For an operator it is the user of the operating system."""

    kind: ActorKind
    id: str
    source: Source
    user_agent: str
    request_id: str
    scope: frozenset[str] | None = None
    """An upper bound: of the permissions that the roles grant, only these count. None: no bound."""
    acr: str = ""
    """The assurance level of the sign-in, for accounts."""
    auth_time: int = 0
    """When the person signed in, in seconds since the epoch."""

    epoch: int | None = None
    """The account's epoch in the token. None where no token was shown."""

    @property
    def is_trusted(self) -> bool:
        """Whether the actor needs no permission. Code that runs next to the master secret can do everything anyway."""
        return self.kind in _TRUSTED

    def is_account(self, account_id: str | None) -> bool:
        """Whether the actor is this account."""
        return self.kind is ActorKind.ACCOUNT and self.id == account_id

    @classmethod
    def of(cls, principal: Principal, *, source: Source, user_agent: str = "", request_id: str = "") -> "Actor":
        """The caller behind a verified token. A token with a scope, or one that a client asked for, can do no more than
        its scope says. A person's own sign-in has no such bound."""
        kind = ActorKind.ACCOUNT if principal.is_account else ActorKind.CLIENT
        is_bounded = principal.scope or principal.client_id != FIRST_PARTY
        return cls(
            kind,
            principal.subject,
            source,
            user_agent,
            request_id,
            scope=principal.scope if is_bounded else None,
            acr=principal.acr,
            auth_time=principal.auth_time,
            epoch=principal.token.ver,
        )

    @classmethod
    def operator(cls, name: str) -> "Actor":
        return cls(ActorKind.OPERATOR, name, Source("command line"), "", "")

    @classmethod
    def application(cls, name: str = _APPLICATION) -> "Actor":
        return cls(ActorKind.APPLICATION, name, Source(_APPLICATION), "", "")

    @classmethod
    def system(cls) -> "Actor":
        return cls(ActorKind.SYSTEM, "ostiary", Source(""), "", "")
