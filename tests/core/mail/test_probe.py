"""`doctor` talks to the mail server as a mail would, sends none, and says in one line what does not work."""

import asyncio
import base64
import contextlib

import pytest
from aiosmtpd.smtp import AuthResult

from ostiary.core.mail import MailServerUnusable, SmtpTransport, probe
from tests.cli.program import free_port
from tests.core.mail.sink import ELSEWHERE, certificate, sink

SENDER = "Ostiary <no-reply@auth.example.com>"
PASSWORD = "QZXJWKVQZXJ"


def url_of(server, credentials=""):
    return server.url.replace("://", f"://{credentials}")


def accepting(password):
    def authenticate(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=data.password == password.encode(), handled=False)

    return {"authenticator": authenticate, "auth_require_tls": False}


async def problem(url, **options):
    with pytest.raises(MailServerUnusable) as found:
        await probe(SmtpTransport(url, sender=SENDER), **options)
    assert "\n" not in str(found.value)
    assert PASSWORD[:4] not in str(found.value)
    return str(found.value)


async def test_a_server_that_takes_our_mails_is_named_and_gets_none():
    async with sink() as server:
        said = await probe(SmtpTransport(server.url, sender=SENDER))
        assert said.endswith("accepts mails from no-reply@auth.example.com, without TLS, on this machine")
        assert server.senders == ["no-reply@auth.example.com"]
        assert server.envelopes == []


async def test_the_user_name_and_the_password_are_tried(tmp_path, monkeypatch):
    pem = certificate(tmp_path, ELSEWHERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    async with sink(ELSEWHERE, certificate=pem, **accepting(PASSWORD)) as server:
        said = await probe(SmtpTransport(url_of(server, f"me:{PASSWORD}@"), sender=SENDER))
        assert said.endswith(", with TLS")
        wrong = await problem(url_of(server, f"me:{PASSWORD}x@"))
        assert wrong.endswith("it refuses the user name or the password (535)")


async def test_a_server_without_sign_in_is_named():
    async with sink() as server:
        assert (await problem(url_of(server, f"me:{PASSWORD}@"))).endswith("no way to sign in with a password")


async def test_a_refused_sender_is_named():
    async with sink() as server:
        server.refuses_senders = True
        assert (await problem(server.url)).endswith("it refuses the sender no-reply@auth.example.com (550)")


async def test_a_server_elsewhere_without_starttls_or_a_valid_certificate_is_named(tmp_path):
    async with sink(ELSEWHERE) as server:
        assert (await problem(server.url)).endswith("it offers no STARTTLS, so nothing is sent to it")
    pem = certificate(tmp_path, ELSEWHERE)
    for implicit in (False, True):
        async with sink(ELSEWHERE, certificate=pem, implicit_tls=implicit) as server:
            assert "its certificate is not valid: self-signed certificate" in await problem(server.url)


async def test_the_wrong_scheme_for_the_port_is_named():
    async with sink() as server:
        assert "Port 465 needs smtps://" in await problem(server.url.replace("smtp:", "smtps:"))


async def test_a_server_that_is_not_there_or_does_not_answer_is_named():
    assert (await problem(f"smtp://127.0.0.1:{free_port()}")).endswith(": Connection refused")
    assert "nowhere.invalid:25: " in await problem("smtp://nowhere.invalid:25")
    async with answering(b"") as url:
        assert (await problem(url, patience=0.2)).endswith(": no answer")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"554 " + PASSWORD.encode() + b"\r\n",
        b"220 hello\r\n554 " + base64.b64encode(PASSWORD.encode()) + b"\r\n",
        b"\xff\xfe\r\n",
        b"220 " + b"x" * 100_000,
        b"220 hello\r\n",
    ],
    ids=lambda answer: repr(answer[:20]),
)
async def test_a_server_reply_is_never_quoted(answer):
    """The server knows the password, and could repeat it."""
    async with answering(answer, closes=True) as url:
        said = await problem(url.replace("://", f"://me:{PASSWORD}@"), patience=5)
        assert base64.b64encode(PASSWORD.encode()).decode()[:4] not in said


@contextlib.asynccontextmanager
async def answering(answer, *, closes=False):
    """A server that says one thing."""

    ended = asyncio.Event()

    async def serve(reader, writer):
        writer.write(answer)
        with contextlib.suppress(OSError):
            await writer.drain()
            if not closes:
                await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        await ended.wait()
