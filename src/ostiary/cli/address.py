"""The address that the server listens on."""

import ipaddress
import socket
from typing import NamedTuple, Self

from ostiary.errors import ConfigurationError


class Address(NamedTuple):
    """An IP address and a port. Both are valid, but another program may be using them."""

    host: str
    port: int

    @classmethod
    def parse(cls, host: str, port: int) -> Self:
        """Raises ConfigurationError. Names are not looked up, because a name may have several addresses."""
        try:
            return cls(str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)), port)
        except ValueError:
            raise ConfigurationError(f"--host must be an IP address such as 127.0.0.1 or ::, not {host!r}") from None

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """The URL under which this machine reaches it."""
        return f"http://{self._on_loopback() if ipaddress.ip_address(self.host).is_unspecified else self}"

    @property
    def loopback_url(self) -> str:
        """Its URL on this machine only. Such an issuer may use http."""
        return f"http://{self._on_loopback()}"

    def _on_loopback(self) -> "Address":
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)

    def check_free(self) -> None:
        """Takes the port and releases it. Raises ConfigurationError if it is not available."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # connections of a server that has just ended still linger; one that listens refuses all the same
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.host, self.port))
        except OSError as problem:
            raise ConfigurationError(f"cannot listen on {self}: {problem.strerror}") from None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
