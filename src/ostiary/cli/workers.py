"""Granian's workers: one process each, and each with its own installation."""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.app import Ostiary
from ostiary.cli.address import Address
from ostiary.cli.log import configuration, guard
from ostiary.cli.options import Options
from ostiary.cli.refusal import REFUSED
from ostiary.errors import ConfigurationError

_LOG: Final = logging.getLogger("ostiary.serve")

PATIENCE: Final = 8
"""Seconds that workers have for what is under way when they are asked to end; container engines kill after ten."""

_HEADER_SECONDS: Final = 10
"""How long a caller may take for the headers: slower ones hold a connection for nothing (slowloris)."""

_HEADER_BYTES: Final = 64 * 1024

_CONNECTIONS: Final = 4096
"""Open connections for each worker, and as many more that wait in the kernel. Granian's default is 1024 over all
workers, which one caller fills with silent ones (ten seconds each: `_HEADER_SECONDS`) and so shuts the others out."""

_OTHER_FILES: Final = 256
"""Files that a worker has open beside its callers' connections: the database's, libraries, pipes."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)

_SETTLING: Final = 0.2
"""Seconds between a worker's start being complete and Granian surely listening for signals."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How each process creates its installation. It never holds the secret: each process reads it from its source."""

    options: Options
    settings: dict[str, Any]

    def installation(self) -> Ostiary:
        return self.options.installation(**self.settings)


def run(launch: Launch, address: Address, *, workers: int, announce: Callable[[], None]) -> int:
    """Serves until SIGINT or SIGTERM and returns the exit code. ``announce`` is called once both are handled."""
    server = Server(
        "ostiary",
        address.host,
        address.port,
        interface=Interfaces.ASGI,
        workers=workers,
        # HTTP/1.1 alone: what speaks HTTP/2 and TLS stands in front, and brings its limits along
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_SECONDS * 1000, max_buffer_size=_HEADER_BYTES),
        websockets=False,
        backlog=_CONNECTIONS,
        backpressure=_connections(),
        respawn_failed_workers=True,
        workers_kill_timeout=PATIENCE,
        log_level=LogLevels.warning,
        log_dictconfig=configuration(level="INFO", readable=sys.stderr.isatty()),
    )
    guard()
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_go)
    hangup = signal.SIG_IGN if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else server.signal_handler_interrupt
    # Granian would begin anew at SIGHUP and outlive its terminal. Under nohup it is meant to.
    server.on_startup(partial(signal.signal, signal.SIGHUP, hangup))
    server.on_startup(announce)
    server.on_startup(partial(_LOG.info, "server.started", extra={"address": str(address), "workers": workers}))
    server.on_shutdown(partial(_LOG.info, "server.stopped"))
    try:
        # the loader instead of a target's name: Granian would put the current folder first on the import path
        server.serve(target_loader=partial(load, launch), wrap_loader=False)
    except SystemExit:
        # Ctrl-C reaches the workers as well; one that was faster than the parent is no failure
        return 0 if server.interrupt_signal else REFUSED
    return 0


def _connections() -> int:
    """How many connections a worker takes. Raises the process's own limit of open files for that, where it may: a
    worker without any left could not reach its database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _CONNECTIONS
    wanted = max(soft, _CONNECTIONS + _OTHER_FILES)
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(_CONNECTIONS, files - _OTHER_FILES))


def load(launch: Launch) -> ASGIApp:
    """The ASGI app, made in the worker's process."""
    _hold_signals()
    guard()
    threading.Thread(target=_end_with_parent, name="ostiary-parent", daemon=True).start()
    try:
        auth = launch.installation()
        return _Started(auth.asgi, ending=auth.stop_waiting)
    except ConfigurationError as problem:  # changed since the parent looked
        _LOG.error("server.not_started", extra={"reason": str(problem)})
        sys.exit(REFUSED)


class _Started:
    """Lets the signals through once the worker serves.

    One that comes earlier would be lost, to the handlers that a forked worker has from its parent, or to Granian, which
    listens for it only then; the worker would have to be killed. So it would be for a request that waits for something
    to happen: Granian waits for it, and tells the app only then. ``ending`` is therefore called by the signal itself.
    """

    def __init__(self, app: ASGIApp, *, ending: Callable[[], None]) -> None:
        self._app = app
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_and_let_go(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                asyncio.get_running_loop().call_later(_SETTLING, self._let_go)

        await self._app(scope, receive, send_and_let_go)

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            # beside Granian's handler: that one is the loop's, which a file descriptor wakes and not this
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._ending))
            signal.siginterrupt(number, False)  # noqa: FBT003 — its only spelling
        _let_signals_go()


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _let_signals_go() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _end_with_parent() -> None:
    """A worker whose parent was killed would keep the port, and nobody could stop it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
