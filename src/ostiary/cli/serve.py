"""`ostiary serve`."""

import asyncio
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from ostiary.cli.address import Address
from ostiary.cli.memory import give_back_large_blocks
from ostiary.cli.options import Options, has_default_issuer
from ostiary.cli.output import flush, print_json, print_lines
from ostiary.cli.preflight import Readiness, prepare
from ostiary.cli.screen import facts, screen
from ostiary.cli.workers import Launch, run


def serve(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 8000,
    workers: Annotated[int, Parameter(validator=Number(gte=1, lte=256))] = 1,
    production: Annotated[bool, Parameter(negative=())] = False,
    options: Options = Options(),
) -> int:
    """Serve over HTTP.

    Without options it uses ostiary.db in this folder, creates it if needed, and only serves this machine.

    Args:
        host: The IP address to listen on.
        port: The port to listen on.
        workers: How many processes serve.
        production: Refuse to start with development defaults.
    """
    give_back_large_blocks()  # before anything is hashed; the workers inherit it
    address = Address.parse(host, port)
    launch = Launch(options, _settings(options, address, production=production))
    ready = asyncio.run(prepare(launch.installation(), address))
    return run(launch, address, workers=workers, announce=partial(_announce, ready, json=options.json))


def _settings(options: Options, address: Address, *, production: bool) -> dict[str, Any]:
    """The settings from the command line. Without a configured issuer, the issuer is the address it listens on."""
    decided: dict[str, Any] = {"production": True} if production else {}
    if has_default_issuer(options.installation(**decided)):
        decided["issuer"] = address.loopback_url
    return decided


def _announce(ready: Readiness, *, json: bool) -> None:
    if json:
        print_json(facts(ready))
    else:
        print_lines(screen(ready))
    flush()  # before the workers are forked: each would print the rest of the buffer again
