"""The address that the server listens on."""

import ipaddress
import socket
from typing import NamedTuple, Self

from ostiary.errors import ConfigurationError


class Address(NamedTuple):
    """A valid IP address and port. Another program may already be using them."""

    host: str
    port: int

    @classmethod
    def parse(cls, host: str, port: int) -> Self:
        """Raises ConfigurationError. Host names are not resolved, because a name may have several addresses."""
        try:
            return cls(str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)), port)
        except ValueError:
            raise ConfigurationError(f"--host must be an IP address such as 127.0.0.1 or ::, not {host!r}") from None

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """The URL that reaches the server from this machine."""
        return f"http://{self._on_loopback() if ipaddress.ip_address(self.host).is_unspecified else self}"

    @property
    def loopback_url(self) -> str:
        """The server's URL on the loopback interface. An issuer on loopback may use http."""
        return f"http://{self._on_loopback()}"

    def _on_loopback(self) -> "Address":
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)

    def check_free(self) -> None:
        """Binds the port and releases it. Raises ConfigurationError if it is not available."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # a server that has just stopped leaves lingering connections; a listening server still blocks the bind
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.host, self.port))
        except OSError as problem:
            raise ConfigurationError(f"cannot listen on {self}: {problem.strerror}") from None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
