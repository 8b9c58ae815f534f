"""Who does something, and from where. Every verb that changes state takes an `Actor`."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_IPV6_NETWORK: Final = 64  # one household or server has a /64: its addresses are one source


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from: the socket's address, or what a trusted proxy says."""

    address: str

    @property
    def bucket(self) -> str:
        """What limits count: the IPv4 address, or the /64 of an IPv6 address."""
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
    """A service that has shown its secret."""
    OPERATOR = "operator"
    """Somebody with the database's secret at the command line: may do everything, and is recorded."""
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``id`` is the account's or client's, for an operator the user of the operating system."""

    kind: ActorKind
    id: str
    source: Source
    user_agent: str
    request_id: str

    def is_account(self, account_id: str | None) -> bool:
        """Whether it is that account itself that acts."""
        return self.kind is ActorKind.ACCOUNT and self.id == account_id

    @classmethod
    def operator(cls, name: str) -> "Actor":
        return cls(ActorKind.OPERATOR, name, Source("command line"), "", "")

    @classmethod
    def system(cls) -> "Actor":
        return cls(ActorKind.SYSTEM, "ostiary", Source(""), "", "")
