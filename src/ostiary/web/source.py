"""Finds the source of a request: the address of the connection, or the one that a trusted proxy names."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from starlette.types import Scope

from ostiary.core.plug import Source
from ostiary.web.settings import Network

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_HOPS: Final = 16  # more than any real chain of proxies: longer lists are sent to waste CPU time

_THIS_MACHINE: Final = "127.0.0.1"
"""The peer of a Unix socket, which has no address. It is trusted only if the operator lists loopback."""

# forms that proxies send: 192.0.2.1, 192.0.2.1:8080, 2001:db8::1, [2001:db8::1], [2001:db8::1]:8080
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


def source_of(scope: Scope, *, proxies: Sequence[Network]) -> Source:
    """The address of the connection. If that is one of ``proxies``, the rightmost address in X-Forwarded-For that is
    not a proxy.

    Addresses further left come from the caller and prove nothing. If a trusted proxy sends something that is not an
    address, the proxy's own address counts: callers then share a rate limit, but cannot choose one.
    """
    peer = _peer(scope)
    if not proxies or not _is_one_of(_address(peer), proxies):
        return Source(peer)
    return Source(_nearest_stranger(peer, _forwarded_for(scope), proxies))


def is_from_proxy(scope: Scope, *, proxies: Sequence[Network]) -> bool:
    """Whether the connection comes from a trusted proxy, so that its headers can be trusted."""
    return bool(proxies) and _is_one_of(_address(_peer(scope)), proxies)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    address: str = client[0] if client else ""
    return address or _THIS_MACHINE


def _nearest_stranger(peer: str, said: Sequence[str], proxies: Sequence[Network]) -> str:
    nearest = peer
    for text in reversed(said):
        address = _address(text)
        if address is None:
            break
        nearest = str(address)
        if not _is_one_of(address, proxies):
            break
    return nearest


def _forwarded_for(scope: Scope) -> list[str]:
    """The last addresses of all header lines, which form one list (RFC 9110 §5.3). The name must have dashes: proxies
    that replace X-Forwarded-For may pass on ``X_Forwarded_For`` from the caller (CVE-2025-64484)."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return ",".join(lines).rsplit(",", _MAX_HOPS)[-_MAX_HOPS:] if lines else []


def _is_one_of(address: _Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> _Address | None:
    text = text.strip(" \t")
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port[1] or with_port[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    # a zone names a network interface of the sender: with it, one sender could appear as many sources
    return None if address.scope_id else address.ipv4_mapped or address
