"""Mail transports: SMTP, or the console during development."""

import secrets
import sys
import urllib.parse
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final, Protocol, TextIO

import aiosmtplib

from ostiary.core.mail.settings import PORTS, MailSettings, read_sender, split_smtp
from ostiary.core.plug import Mail
from ostiary.errors import ConfigurationError
from ostiary.verifier import LOOPBACK_HOSTS

_TIMEOUT: Final = 20.0  # seconds for each step of one mail


class Transport(Protocol):
    async def send(self, mail: Mail) -> None:
        """Sends a mail. Raises OSError or an error of aiosmtplib if the server did not accept it."""


class ConsoleTransport:
    """Prints mails. They contain links that give access, so this is for development only. Production needs SMTP."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, mail: Mail) -> None:
        lines = [f"To: {mail.to}", f"Subject: {mail.subject}", "", *mail.text.splitlines()]
        framed = "\n".join(f"  | {line}" for line in lines)
        stream = self._stream or sys.stdout
        stream.write(f"\nMail (set OSTIARY_MAIL_SMTP to send it):\n{framed}\n\n")
        stream.flush()


class SmtpTransport:
    """Sends mails to a server: ``smtps://`` with TLS from the start, ``smtp://`` with STARTTLS. Mails contain links
    that give access, so nothing is sent without TLS and a valid certificate. Only for a server on this machine,
    TLS is optional and its certificate is not checked: nobody is in between. Its host must be one of `LOOPBACK_HOSTS`.
    Other names never count, even if they resolve to loopback."""

    def __init__(self, url: str, *, sender: str) -> None:
        split, read = split_smtp(url), read_sender(sender)
        if split is None or read is None:
            raise ConfigurationError("the SMTP URL or the sender is not valid")
        parts, port = split
        self._host = parts.hostname or ""
        self._port = port or PORTS[parts.scheme]
        self._user = urllib.parse.unquote(parts.username) if parts.username else None
        self._password = urllib.parse.unquote(parts.password) if parts.password else None
        self._tls = parts.scheme == "smtps"
        self._is_local = self._host in LOOPBACK_HOSTS
        self._sender: Final[Address] = read

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def sender(self) -> str:
        """The address in MAIL FROM, in ASCII."""
        return self._sender.addr_spec

    async def send(self, mail: Mail) -> None:
        message = self._message(mail)
        async with self.connected(timeout=_TIMEOUT) as client:
            await client.send_message(message)

    def connected(self, *, timeout: float) -> aiosmtplib.SMTP:
        """A context manager: a connection that is ready for mails, encrypted and signed in as the URL says. Entering
        it raises OSError or an error of aiosmtplib. ``timeout`` is in seconds and for each step."""
        starttls = None if self._is_local else True  # None: where the server offers it
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=False if self._tls else starttls,
            validate_certs=not self._is_local,
            timeout=timeout,
        )

    def _message(self, mail: Mail) -> EmailMessage:
        # EmailMessage refuses line breaks in headers, so that no address or subject can add a header
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = mail.subject
        # RFC 5322 §3.6: without these two headers a mail counts as spam. The time is for readers only.
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<{secrets.token_hex(16)}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers
        message.set_content(mail.text)
        return message


def transport_from(settings: MailSettings) -> Transport:
    if settings.smtp is None:
        return ConsoleTransport()
    return SmtpTransport(settings.smtp.reveal(), sender=settings.sender)
