"""Asks the mail server whether it would take our mails, without sending one."""

import asyncio
import os
import ssl
from typing import Final

import aiosmtplib

from ostiary.core.mail.transport import SmtpTransport

_PATIENCE: Final = 10.0  # seconds for everything


class MailServerUnusable(Exception):
    """The message is one line. It never quotes the server, which knows the password and could repeat it."""


async def probe(transport: SmtpTransport, *, patience: float = _PATIENCE) -> str:
    """Connects, encrypts, signs in and names the sender, as for a mail, then takes it back (RSET). Returns a line for
    the operator.

    Raises:
        MailServerUnusable: the first thing that does not work.
    """
    try:
        async with asyncio.timeout(patience), transport.connected(timeout=patience) as client:
            await client.mail(transport.sender)
            await client.rset()
            encryption = "with TLS" if client.get_transport_info("sslcontext") else "without TLS, on this machine"
    except (OSError, ValueError, aiosmtplib.SMTPException) as problem:
        raise MailServerUnusable(f"{transport.place}: {_reason(problem, transport.sender)}") from None
    return f"{transport.place} accepts mails from {transport.sender}, {encryption}"


def _reason(problem: Exception, sender: str) -> str:
    cause = problem.__cause__ if isinstance(problem.__cause__, OSError) else problem
    match problem:
        case aiosmtplib.SMTPAuthenticationError(code=code):
            return f"it refuses the user name or the password ({code})"
        case aiosmtplib.SMTPSenderRefused(code=code):
            return f"it refuses the sender {sender} ({code})"
        case aiosmtplib.SMTPConnectResponseError(code=code) | aiosmtplib.SMTPHeloError(code=code):
            return f"it refuses the connection ({code})"
        case aiosmtplib.SMTPResponseException(code=code):
            return f"it answers with an error ({code})"
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {cause.verify_message}"
        case ssl.SSLError():
            return "it does not speak TLS as expected. Port 465 needs smtps://, port 587 needs smtp://"
        case TimeoutError():
            return "no answer"
        case aiosmtplib.SMTPServerDisconnected():
            return "it closed the connection"
        case OSError():
            return _system_words(cause)
    return _unsupported(problem)


def _system_words(problem: OSError) -> str:
    if isinstance(problem, ConnectionError) and problem.errno:
        return os.strerror(problem.errno)  # asyncio puts the address into strerror instead
    return problem.strerror or type(problem).__name__


def _unsupported(problem: Exception) -> str:
    said = str(problem)
    if "AUTH" in said or "uthentication method" in said:  # first: its message names STARTTLS as a remedy
        return "it offers no way to sign in with a password"
    if "STARTTLS" in said:
        return "it offers no STARTTLS, so nothing is sent to it"
    return f"it does not answer as a mail server does ({type(problem).__name__})"
