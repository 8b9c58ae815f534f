"""Settings of mail."""

import urllib.parse
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import ClassVar, Final

from email_validator import validate_email

from ostiary.core.settings import Secret, Section, Settings, check_server_url, setting

PORTS: Final = {"smtp": 587, "smtps": 465}

_BELOW: Final = ".example"


def split_smtp(url: str) -> tuple[urllib.parse.SplitResult, int | None] | None:
    """The parts and the port of an SMTP URL, or None where it is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        return (parts, parts.port) if parts.scheme in PORTS and parts.hostname else None
    except ValueError:
        return None


def read_sender(text: str) -> Address | None:
    """``Name <name@example.com>`` as an address, or None. An international domain becomes ASCII (IDNA), because many
    mail servers do not support SMTPUTF8 (RFC 6531)."""
    name, spec = parseaddr(text)
    if spec not in text or any(character.isspace() for character in spec) or not text.isprintable():
        return None  # parseaddr leaves out what it cannot read
    local, _, domain = spec.rpartition("@")
    try:
        if not domain.isascii():
            domain = _in_ascii(domain)
        return Address(display_name=name, addr_spec=f"{local}@{domain}") if local.isascii() and local else None
    except (ValueError, IndexError, MessageError):
        return None


def _in_ascii(domain: str) -> str:
    """Raises ValueError if this is no domain. A suffix lets email-validator accept private domains too."""
    found = validate_email(f"name@{domain}{_BELOW}", check_deliverability=False)
    return found.ascii_domain.removesuffix(_BELOW)


def _check_smtp(url: Secret | None, _: Settings) -> str | None:
    # without the URL: it may hold a password
    if url is None:
        return None
    if "://" in url and (problem := check_server_url(url.reveal())):
        return problem
    return None if split_smtp(url.reveal()) else "must be like smtp://user:password@host:587 or smtps://host"


def _check_sender(sender: str, _: Settings) -> str | None:
    return None if read_sender(sender) else f"must be like Name <name@example.com>, not {sender!r}"


@dataclass(frozen=True, kw_only=True)
class MailSettings(Section):
    section: ClassVar[str] = "mail"

    smtp: Secret | None = setting(
        "The mail server: smtp://user:password@host:587 (STARTTLS) or smtps://… . Empty: mails are printed to the "
        "console.",
        None,
        check=_check_smtp,
    )
    sender: str = setting(
        "The sender of mails. An international domain is sent in its ASCII form (IDNA).",
        "Ostiary <no-reply@localhost>",
        check=_check_sender,
    )
