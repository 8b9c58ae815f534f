"""A real SMTP server that stores the mails that it receives, and a certificate for it."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ELSEWHERE = "127.0.0.2"
"""An address of this machine that the transport treats as another machine."""


class Sink:
    """``replies``: the responses to the next mails. After those it accepts all mails."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.replies: list[str] = []
        self.senders: list[str] = []
        self.refuses_senders = False
        self.url = ""

    @property
    def messages(self) -> list[EmailMessage]:
        parser = BytesParser(policy=default)
        return [parser.parsebytes(envelope.content) for envelope in self.envelopes]  # type: ignore[misc,arg-type]

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.replies:
            return self.replies.pop(0)
        self.envelopes.append(envelope)
        self.sessions.append(session)
        return "250 OK"

    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses_senders:
            return "550 who are you?"
        self.senders.append(address)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@asynccontextmanager
async def sink(
    host: str = "127.0.0.1", *, certificate: Path | None = None, implicit_tls: bool = False, **options: Any
) -> AsyncIterator[Sink]:
    """``implicit_tls``: TLS from the start. ``options``: those of aiosmtpd's SMTP."""
    kept = Sink()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    connections: list[SMTP] = []

    def connection() -> SMTP:
        connections.append(
            SMTP(kept, hostname="sink.example", tls_context=None if implicit_tls else context, **options)
        )
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connection, host, 0, ssl=context if implicit_tls else None)
    try:
        kept.url = f"{'smtps' if implicit_tls else 'smtp'}://{host}:{server.sockets[0].getsockname()[1]}"
        yield kept
    finally:
        server.close()
        await server.wait_closed()
        for each in connections:
            await _ended(each)


async def _ended(connection: SMTP) -> None:
    if connection.transport is not None:
        connection.transport.abort()
    task = connection._handler_coroutine
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


def certificate(folder: Path, host: str) -> Path:
    """A key and a self-signed certificate for an address, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
