"""What `serve` prints when it starts: one screen of at most 24 lines."""

import json
import shlex
import shutil
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ostiary._version import __version__
from ostiary.cli.checks import warnings
from ostiary.cli.output import without_password
from ostiary.cli.preflight import Part, Readiness
from ostiary.core.accounts.settings import RegistrationSettings
from ostiary.core.mail import MailSettings
from ostiary.core.settings import Settings

_NAME: Final = "ostiary"
_EXAMPLE: Final = {"email": "you@example.com", "password": "brisk-otter-paints-9-lamps"}


def screen(ready: Readiness) -> Iterator[str]:
    settings, url = ready.settings, ready.address.url
    yield f"Ostiary {__version__} listens on {ready.address}"
    yield ""
    yield f"  database   {_database(ready)}"
    yield f"  secret     {_secret(ready.secret)}"
    yield f"  issuer     {settings.issuer}"
    yield f"  mail       {_mail(settings)}"
    yield f"  algorithm  {ready.algorithm}"
    yield ""
    if not settings.production:
        yield from _try_it(url, settings)
        yield ""
    yield f"OpenAPI: {url}{settings.prefix}/openapi.json"
    yield f"Settings: {program()} doctor    Accounts: {program()} users --help    Stop: Ctrl-C"
    yield from _warnings(ready)


def facts(ready: Readiness) -> dict[str, Any]:
    """The same information for programs."""
    settings = ready.settings
    return {
        "version": __version__,
        "url": ready.address.url,
        "host": ready.address.host,
        "port": ready.address.port,
        "database": without_password(settings.database),
        "database_made": ready.database is not None and ready.database.made,
        "secret_file": None if ready.secret is None else str(ready.secret.path),
        "secret_made": ready.secret is not None and ready.secret.made,
        "issuer": settings.issuer,
        "mail": _mail_host(settings),
        "algorithm": ready.algorithm,
        "openapi": f"{ready.address.url}{settings.prefix}/openapi.json",
        "warnings": _warnings(ready),
    }


def program() -> str:
    """What to type to run this program. The program of a virtual environment is often not on the PATH."""
    started, found = Path(sys.argv[0]), shutil.which(_NAME)
    if started.name != _NAME or (found and Path(found).absolute() == started.absolute()):
        return _NAME
    return shlex.quote(str(started))


def _warnings(ready: Readiness) -> list[str]:
    exposed = exposure(ready)
    found = [check.detail for check in warnings(ready.settings)]
    return [f"Warning: {told}" for told in ([exposed] if exposed else []) + found]


def exposure(ready: Readiness) -> str | None:
    """Why it is dangerous to listen on this address, or None."""
    if ready.settings.production or ready.address.is_loopback or ready.settings.issuer.startswith("https:"):
        return None
    return f"passwords sent to {ready.address} are not encrypted. Use a proxy with TLS, and --production."


def _database(ready: Readiness) -> str:
    if ready.database is None:
        return without_password(ready.settings.database)
    return f"{ready.database.path} ({'created' if ready.database.made else 'existing'})"


def _secret(secret: Part | None) -> str:
    if secret is None:
        return "OSTIARY_SECRET"
    made = "created: back it up, but not together with the database" if secret.made else "existing"
    return f"{secret.path}, mode {secret.mode:04o} ({made})"


def _mail(settings: Settings) -> str:
    return _mail_host(settings) or "printed here, not sent (set OSTIARY_MAIL_SMTP)"


def _mail_host(settings: Settings) -> str | None:
    smtp = settings.of(MailSettings).smtp
    return smtp and urllib.parse.urlsplit(smtp.reveal()).hostname


def _try_it(url: str, settings: Settings) -> Iterator[str]:
    base = url + settings.prefix
    body = json.dumps(_EXAMPLE, separators=(",", ":"))
    cut_out = r"""sed 's/.*"access_token":"\([^"]*\)".*/\1/'"""
    yield (
        "Try it (after registering, open the link in the mail):"
        if settings.of(RegistrationSettings).require_verified_email
        else "Try it:"
    )
    yield f"  ME='{body}'"
    # curl has --json only since 7.82, and long-lived systems have an older one
    post = """-H 'content-type: application/json' -d "$ME\""""
    yield f"  curl {base}/register {post}"
    yield f"  TOKEN=$(curl -s {base}/login {post} | {cut_out})"
    yield f'  curl {base}/me -H "Authorization: Bearer $TOKEN"'
