"""Granian's workers. Each is a process with its own installation."""

import asyncio
import importlib.util
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.app import Ostiary
from ostiary.cli.address import Address
from ostiary.cli.connections import Connections
from ostiary.cli.log import configuration, guard
from ostiary.cli.options import Options
from ostiary.cli.refusal import REFUSED
from ostiary.errors import ConfigurationError
from ostiary.settings import WebSettings

_LOG: Final = logging.getLogger("ostiary.serve")

PATIENCE: Final = 8
"""Seconds that workers have to finish running requests when they are asked to stop. Container engines kill a process
after ten seconds."""

_HEADER_SECONDS: Final = 10
"""How long a caller may take to send the headers. Slower callers would occupy a connection (slowloris)."""

_HEADER_BYTES: Final = 64 * 1024

_CONNECTIONS: Final = 4096
"""Open connections per worker. As many more can wait in the kernel. Granian's default is 1024 for all workers
together. `Connections` bounds the share of one source."""

_OTHER_FILES: Final = 256
"""Files that a worker has open in addition to connections of callers: the database, libraries, pipes."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)

_SETTLING: Final = 0.2
"""Seconds after which Granian certainly listens for signals, counted from the complete start of a worker."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How each process creates its installation. It never holds the secret: each process reads it from its source."""

    options: Options
    settings: dict[str, Any]

    def installation(self) -> Ostiary:
        return self.options.installation(**self.settings)


def run(launch: Launch, address: Address, *, workers: int, announce: Callable[[], None]) -> int:
    """Serves until SIGINT or SIGTERM and returns the exit code. ``announce`` is called once both are handled."""
    most = _connections()
    server = Server(
        "ostiary",
        address.host,
        address.port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=_event_loop(),
        # only HTTP/1.1: a proxy in front speaks HTTP/2 and TLS, and has its own limits
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_SECONDS * 1000, max_buffer_size=_HEADER_BYTES),
        websockets=False,
        backlog=_CONNECTIONS,
        backpressure=most,
        respawn_failed_workers=True,
        workers_kill_timeout=PATIENCE,
        log_level=LogLevels.warning,
        log_dictconfig=configuration(level="INFO", readable=sys.stderr.isatty()),
    )
    guard()
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_go)
    hangup = signal.SIG_IGN if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else server.signal_handler_interrupt
    # Granian would restart at SIGHUP and outlive its terminal. Under nohup, outliving it is intended.
    server.on_startup(partial(signal.signal, signal.SIGHUP, hangup))
    server.on_startup(announce)
    server.on_startup(partial(_LOG.info, "server.started", extra={"address": str(address), "workers": workers}))
    server.on_shutdown(partial(_LOG.info, "server.stopped"))
    try:
        # a loader and no target name, for which Granian would put the current folder first on the import path
        server.serve(target_loader=partial(load, launch, port=address.port, most=most), wrap_loader=False)
    except SystemExit:
        # Ctrl-C reaches the workers as well. A worker that exits before the parent is not a failure.
        return 0 if server.interrupt_signal else REFUSED
    return 0


def _event_loop() -> Loops:
    """uvloop, where it is installed: requests cost less. Granian's own choice would prefer other, younger loops."""
    return Loops.uvloop if importlib.util.find_spec("uvloop") is not None else Loops.asyncio


def _connections() -> int:
    """How many connections a worker accepts. Raises the process's limit of open files for them, if it may. A worker
    without free file descriptors could not reach its database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _CONNECTIONS
    wanted = max(soft, _CONNECTIONS + _OTHER_FILES)
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(_CONNECTIONS, files - _OTHER_FILES))


def load(launch: Launch, *, port: int, most: int) -> ASGIApp:
    """Creates the ASGI app in the worker's process. ``most`` is the number of connections that it accepts."""
    _hold_signals()
    guard()
    threading.Thread(target=_end_with_parent, name="ostiary-parent", daemon=True).start()
    try:
        auth = launch.installation()
        Connections(port=port, most=most, proxies=auth.settings.of(WebSettings).proxies).begin()
        return _Started(auth.asgi, ending=auth.stop_waiting)
    except ConfigurationError as problem:  # the configuration changed after the parent's check
        _LOG.error("server.not_started", extra={"reason": str(problem)})
        sys.exit(REFUSED)


class _Started:
    """Unblocks the signals once the worker serves.

    An earlier signal would be lost: a forked worker inherits its parent's handlers, and Granian does not listen yet.
    The worker would then have to be killed. The same would happen while a request waits for news: Granian waits for
    such a request before it informs the app. The signal handler therefore calls ``ending`` itself.
    """

    def __init__(self, app: ASGIApp, *, ending: Callable[[], None]) -> None:
        self._app = app
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, partial(_send_without_name, send))
            return

        async def send_and_let_go(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                asyncio.get_running_loop().call_later(_SETTLING, self._let_go)

        await self._app(scope, receive, send_and_let_go)

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            # this does not replace Granian's handler, which belongs to the event loop and is woken by a file descriptor
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._ending))
            signal.siginterrupt(number, False)  # noqa: FBT003 — its only spelling
        _let_signals_go()


def _send_without_name(send: Send, message: Message) -> Awaitable[None]:
    """Granian adds its name to every response that has no Server header. It would tell attackers what to look for."""
    if message["type"] == "http.response.start":
        message["headers"].append((b"server", b""))
    return send(message)


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _let_signals_go() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _end_with_parent() -> None:
    """Stops the worker when its parent is killed. Otherwise it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
