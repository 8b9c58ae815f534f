"""Any X-Forwarded-For headers, one per line. The result is always an address: the socket's if no proxy is trusted."""

import ipaddress
import re
from typing import Final

from ostiary.web.source import source_of

_PROXIES: Final = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "2001:db8::/32")))


def check(data: bytes) -> None:
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", line) for line in data.split(b"\n")]}
    assert re.fullmatch(r"[0-9a-f:.]+", source_of(scope, proxies=_PROXIES).address)
    assert source_of(scope, proxies=()).address == "10.0.0.1"
