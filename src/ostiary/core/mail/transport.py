"""How a mail leaves: over SMTP, or onto the console while developing."""

import secrets
import sys
import urllib.parse
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Final, Protocol, TextIO

import aiosmtplib

from ostiary.core.plug import Mail
from ostiary.core.settings import Settings
from ostiary.errors import ConfigurationError

_TIMEOUT: Final = 20.0  # seconds for one mail
_PORTS: Final = {"smtp": 587, "smtps": 465}


class Transport(Protocol):
    async def send(self, mail: Mail) -> None:
        """Raises OSError or aiosmtplib's errors when the mail could not be handed over."""


class ConsoleTransport:
    """Prints mails. They carry links that give access, so this is for development: production needs SMTP."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, mail: Mail) -> None:
        lines = [f"To: {mail.to}", f"Subject: {mail.subject}", "", *mail.text.splitlines()]
        framed = "\n".join(f"  | {line}" for line in lines)
        stream = self._stream or sys.stdout
        stream.write(f"\nMail (set OSTIARY_SMTP to send it):\n{framed}\n\n")
        stream.flush()


class SmtpTransport:
    """Hands mails to a server: ``smtps://`` with TLS from the start, ``smtp://`` with STARTTLS. Without TLS only to
    this machine: a mail carries links that give access."""

    def __init__(self, url: str, *, sender: str) -> None:
        parts, port = _split(url)
        self._host = parts.hostname or ""
        self._port = port or _PORTS[parts.scheme]
        self._user = urllib.parse.unquote(parts.username) if parts.username else None
        self._password = urllib.parse.unquote(parts.password) if parts.password else None
        self._tls = parts.scheme == "smtps"
        self._starttls = not self._tls and self._host not in {"127.0.0.1", "::1", "localhost"}
        self._sender = _address(sender)

    async def send(self, mail: Mail) -> None:
        await aiosmtplib.send(
            self._message(mail),
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=True if self._starttls else None if not self._tls else False,
            timeout=_TIMEOUT,
        )

    def _message(self, mail: Mail) -> EmailMessage:
        # headers are set through EmailMessage, which refuses line breaks: no address or subject can add a header
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = mail.subject
        # RFC 5322 §3.6: without these two a mail counts as spam. The time is for people, nothing is decided by it.
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<{secrets.token_hex(16)}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers
        message.set_content(mail.text)
        return message


def transport_from(settings: Settings) -> Transport:
    if settings.smtp is None:
        return ConsoleTransport()
    return SmtpTransport(settings.smtp.reveal(), sender=settings.mail_from)


def _split(url: str) -> tuple[urllib.parse.SplitResult, int | None]:
    """The URL's parts, and its port. Raises ConfigurationError, without the URL: it has a password in it."""
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in _PORTS and parts.hostname:
            return parts, parts.port
    except ValueError:
        pass
    raise ConfigurationError("smtp must be like smtp://user:password@host:587 or smtps://host")


def _address(text: str) -> Address:
    name, spec = parseaddr(text)
    try:
        return Address(display_name=name, addr_spec=spec)
    except (ValueError, IndexError):
        raise ConfigurationError(f"mail_from must be like Name <name@example.com>, not {text!r}") from None
