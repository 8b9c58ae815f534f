"""Bounds what clients can occupy: a time limit for clients that do not read, and a number of connections per source.

Granian has neither. Its app never learns of a client that does not read: `send` returns at once, and the response waits
in the server. So this works on the sockets of the worker's process. It needs Linux; elsewhere it does nothing.
"""

import logging
import os
import socket
import stat
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from ostiary.core.plug import Source
from ostiary.trace import trace
from ostiary.web.settings import Network
from ostiary.web.source import is_from_proxy

_LOG: Final = logging.getLogger("ostiary.serve")

_UNREAD_SECONDS: Final = 20
"""How long a client may leave data unread or unacknowledged. The kernel then drops the connection (tcp(7))."""

_SHARE: Final = 4
"""One source may have a quarter of a worker's connections, but never fewer than `_LEAST`: many people may share an
address."""
_LEAST: Final = 32

_PERIOD: Final = 1.0
_SEARCHING: Final = 0.1
"""Seconds between two looks at the sockets, and before the listening socket is found."""

_AFTER_ERROR: Final = 60.0
"""Seconds to wait after an error, such as a missing /proc, so that the log does not fill."""

_DESCRIPTORS: Final = "/proc/self/fd"
_ABORT: Final = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends RST and frees the unsent data. With FIN, the kernel would keep it for minutes."""


class Connections:
    """The connections of one worker.

    Args:
        port: The port that the worker listens on.
        most: How many connections the worker accepts.
        proxies: Their connections are not bounded, because they carry those of all callers.
    """

    def __init__(self, *, port: int, most: int, proxies: Sequence[Network]) -> None:
        self._port = port
        self._per_source = max(_LEAST, most // _SHARE)
        self._proxies = proxies
        self._is_timed = False

    def begin(self) -> None:
        """Watches in a thread from now on, so that a busy event loop delays nothing."""
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            threading.Thread(target=self._watch, name="ostiary-connections", daemon=True).start()

    def _watch(self) -> NoReturn:
        while True:
            time.sleep(_PERIOD if self._is_timed else _SEARCHING)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the server must continue; the log line has the place
                _LOG.error("connections.unwatched", extra={"error": trace(error)})
                time.sleep(_AFTER_ERROR)

    def look(self) -> None:
        """Sets the time limit once, and ends what a source has too many of."""
        descriptors = os.listdir(_DESCRIPTORS)  # noqa: PTH208 - thousands of Path objects would cost more than the rest
        if not self._is_timed:
            self._set_time_limit(descriptors)
        if len(descriptors) > self._per_source:  # otherwise no source can have too many
            self._end_excess(descriptors)

    def _set_time_limit(self, descriptors: Sequence[str]) -> None:
        """Connections inherit the limit from the listening socket. Some may have been accepted before."""
        for one in self._sockets(descriptors):
            with suppress(OSError):  # a client may have left
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
                self._is_timed |= bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def _end_excess(self, descriptors: Sequence[str]) -> None:
        connections: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        buckets: dict[str, str | None] = {}
        for one in self._sockets(descriptors):
            with suppress(OSError):  # the listening socket has no peer, and a client may have left
                peer = one.getpeername()[0]
                if peer not in buckets:
                    buckets[peer] = self._bucket(peer)
                if (bucket := buckets[peer]) is None:
                    continue
                connections[bucket] += 1
                if connections[bucket] > self._per_source:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                    one.shutdown(socket.SHUT_RDWR)
                    ended[bucket] += 1
        for bucket, count in ended.items():
            _LOG.warning("connections.ended", extra={"source": bucket, "count": count, "limit": self._per_source})

    def _bucket(self, peer: str) -> str | None:
        """None: a trusted proxy."""
        return None if is_from_proxy({"client": (peer, 0)}, proxies=self._proxies) else Source(peer).bucket

    def _sockets(self, descriptors: Sequence[str]) -> Iterator[socket.socket]:
        """The sockets of our port, each while the loop body runs.

        They are duplicates: the server may close its own at any time, and the number could then belong to another
        connection. A file must never be duplicated and closed: closing any descriptor of the database gives up all
        locks that this process has on it (POSIX fcntl).
        """
        for descriptor in descriptors:
            with suppress(OSError):  # closed in the meantime
                if not _is_socket(int(descriptor)):
                    continue
                copy = os.dup(int(descriptor))
                if not _is_socket(copy):
                    continue  # the number was used again for a file since: the copy stays open
                with socket.socket(fileno=copy) as one:
                    if self._is_ours(one):
                        yield one

    def _is_ours(self, one: socket.socket) -> bool:
        is_tcp = one.family in {socket.AF_INET, socket.AF_INET6} and one.type == socket.SOCK_STREAM
        return is_tcp and one.getsockname()[1] == self._port


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
