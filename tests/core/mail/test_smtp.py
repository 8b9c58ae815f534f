"""Mails over SMTP: their headers, and that mails are sent encrypted or not at all."""

import io

import aiosmtplib
import pytest

from ostiary.core.mail import ConsoleTransport, SmtpTransport, transport_from
from ostiary.core.mail.settings import read_sender
from ostiary.core.plug import Mail
from ostiary.errors import ConfigurationError
from ostiary.settings import MailSettings, RegistrationSettings
from tests.core.given import given
from tests.core.installation import installation
from tests.core.mail.sink import ELSEWHERE, certificate, sink

SENDER = "Ostiary <no-reply@auth.example.com>"
MAIL = Mail("ada@example.com", "Confirm your address", "Grüße.\n\nhttps://auth.example.com/auth/email/verify#token\n")


async def test_a_mail_arrives_with_the_headers_it_needs_and_one_recipient():
    async with sink() as server:
        await SmtpTransport(server.url, sender=SENDER).send(MAIL)
        (message,) = server.messages
        (envelope,) = server.envelopes
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert envelope.mail_from == "no-reply@auth.example.com"
    assert message["From"] == SENDER
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Confirm your address"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.tzinfo is not None
    assert message["Message-ID"].endswith("@auth.example.com>")
    assert message.get_content_type() == "text/plain"
    assert message.get_content().splitlines() == MAIL.text.splitlines()


async def test_every_mail_has_a_unique_message_id():
    async with sink() as server:
        transport = SmtpTransport(server.url, sender=SENDER)
        for _ in range(2):
            await transport.send(MAIL)
        assert len({message["Message-ID"] for message in server.messages}) == 2


@pytest.mark.parametrize(
    "mail",
    [
        Mail("ada@example.com\r\nBcc: eve@evil.example", "x", "y"),
        Mail("ada@example.com\nBcc: eve@evil.example", "x", "y"),
        Mail("ada@example.com, eve@evil.example", "x", "y"),
        Mail("ada@example.com", "x\r\nBcc: eve@evil.example", "y"),
        Mail("ada@example.com", "x\nBcc: eve@evil.example", "y"),
        Mail("ada@example.com", "x\r\n\r\nbody", "y"),
        Mail("", "x", "y"),
        Mail("no address", "x", "y"),
    ],
    ids=repr,
)
async def test_no_address_or_subject_can_add_a_header_or_recipient(mail):
    """L12: it is refused before anything is sent, even if earlier checks let it pass."""
    async with sink() as server:
        with pytest.raises((ValueError, IndexError)):
            await SmtpTransport(server.url, sender=SENDER).send(mail)
        assert server.envelopes == []


async def test_a_line_with_a_dot_does_not_end_the_mail():
    async with sink() as server:
        text = "before\n.\nRCPT TO:<eve@evil.example>\n..\nafter\n"
        await SmtpTransport(server.url, sender=SENDER).send(Mail("ada@example.com", "x", text))
        (message,) = server.messages
        assert message.get_content().splitlines() == text.splitlines()


async def test_nothing_is_sent_unencrypted_to_another_machine():
    """A server, or an attacker in between, that offers no STARTTLS gets neither mail nor password."""
    async with sink(ELSEWHERE) as server:
        url = server.url.replace("://", "://me:hunter2@")
        with pytest.raises(aiosmtplib.SMTPException):
            await SmtpTransport(url, sender=SENDER).send(MAIL)
        assert server.envelopes == []


async def test_mail_to_another_machine_is_encrypted(tmp_path, monkeypatch):
    pem = certificate(tmp_path, ELSEWHERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    async with sink(ELSEWHERE, certificate=pem) as server:
        await SmtpTransport(server.url, sender=SENDER).send(MAIL)
        (session,) = server.sessions
        assert session.ssl is not None


@pytest.mark.parametrize("wrong", ["not trusted", "of another host"])
async def test_nothing_is_sent_to_a_server_with_an_invalid_certificate(tmp_path, monkeypatch, wrong):
    pem = certificate(tmp_path, ELSEWHERE if wrong == "not trusted" else "127.0.0.9")
    if wrong == "of another host":
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    async with sink(ELSEWHERE, certificate=pem) as server:
        with pytest.raises((OSError, aiosmtplib.SMTPException)):
            await SmtpTransport(server.url, sender=SENDER).send(MAIL)
        assert server.envelopes == []


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "TLS"])
async def test_a_server_on_this_machine_may_have_any_certificate(tmp_path, implicit):
    """A mail server for development or a local relay has a self-signed one, for another name."""
    pem = certificate(tmp_path, "192.0.2.1")
    async with sink(certificate=pem, implicit_tls=implicit) as server:
        await SmtpTransport(server.url, sender=SENDER).send(MAIL)
        (session,) = server.sessions
        assert implicit or session.ssl is not None


@pytest.mark.parametrize("utf8", [False, True], ids=["without SMTPUTF8", "with SMTPUTF8"])
async def test_a_sender_and_a_recipient_with_international_domains_are_sent_in_ascii(sqlite_url, utf8):
    async with (
        sink(enable_SMTPUTF8=utf8) as server,
        installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house,
    ):
        house.auth.ambient.mail._transport = SmtpTransport(server.url, sender="Müller Straße <no-reply@straße.example>")
        await house.register("ada@münchen.de")
        await house.ambient.mail.close()
        (message,), (envelope,) = server.messages, server.envelopes
    assert envelope.mail_from == "no-reply@xn--strae-oqa.example"
    assert envelope.rcpt_tos == ["ada@xn--mnchen-3ya.de"]
    assert not any(option.upper().startswith("SMTPUTF8") for option in envelope.mail_options)
    assert message["From"].addresses[0].addr_spec == "no-reply@xn--strae-oqa.example"
    assert message["From"].addresses[0].display_name == "Müller Straße"
    assert message["To"] == "ada@xn--mnchen-3ya.de"
    assert message["Message-ID"].endswith("@xn--strae-oqa.example>")
    header = envelope.content.partition(b"\r\n\r\n")[0]
    assert header.isascii()


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("no-reply@localhost", "no-reply@localhost"),
        ("Büro <a@büro.local>", "a@xn--bro-hoa.local"),
        ("möwe@example.com", None),
        ("a@exa\u200bmple.com\xe9", None),
        ("a@" + "ü" * 70 + ".de", None),
        ("nobody", None),
        ("", None),
    ],
)
def test_a_sender_becomes_ascii_or_is_refused(sender, address):
    if address is None:
        with pytest.raises(ConfigurationError, match=r"^mail\.sender must be like"):
            given(MailSettings(sender=sender))
    else:
        assert SmtpTransport("smtp://localhost", sender=sender).sender == address


@pytest.mark.parametrize(
    "url", ["http://h", "smtp://", "smtps://", "h:25", "smtp://h:99999", "smtp://h:x", "smtp://[::1", "", "//h"]
)
def test_an_invalid_url_is_refused_at_start_without_being_quoted(url):
    with pytest.raises(ConfigurationError, match=r"^mail\.smtp (must be like|is not a valid URL)") as refused:
        given(MailSettings(smtp=url.replace("://", "://me:hunter2@")))
    assert "hunter2" not in str(refused.value)


def test_the_setting_selects_the_transport():
    assert isinstance(transport_from(given().of(MailSettings)), ConsoleTransport)
    settings = given(MailSettings(smtp="smtps://mail.example.com"))
    assert isinstance(transport_from(settings.of(MailSettings)), SmtpTransport)


async def test_in_development_a_mail_is_printed_with_its_link():
    written = io.StringIO()
    await ConsoleTransport(written).send(MAIL)
    assert "  | To: ada@example.com\n  | Subject: Confirm your address\n" in written.getvalue()
    assert "  | https://auth.example.com/auth/email/verify#token\n" in written.getvalue()
    assert "OSTIARY_MAIL_SMTP" in written.getvalue()


async def test_mails_are_printed_to_the_current_stdout(capsys):
    await ConsoleTransport().send(MAIL)
    assert "Confirm your address" in capsys.readouterr().out


async def test_registration_sends_a_mail_through_a_real_server(sqlite_url):
    """From end to end: the link in a mail that a real server received creates the account."""
    async with sink() as server, installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        house.auth.ambient.mail._transport = SmtpTransport(server.url, sender=SENDER)
        await house.register("Ada@example.com")
        await house.ambient.mail.close()
        (message,) = server.messages
        assert message["To"] == "Ada@example.com"
        link = message.get_content().partition("#")[2].split()[0]
        assert (await house.post("/email/verify", {"token": link})).status_code == 204
        assert (await house.login()).status_code == 200


@pytest.mark.parametrize(
    "text", ["a@.example", "a@b c", "N <a@ex ample.com>", "x <a@b\r\nX: y>", "a@b\tc", "@b.example", "a", ""]
)
def test_a_sender_that_is_no_address_is_refused(text):
    """Python's parser leaves out what it does not understand, and raises an error of its own for a leading dot."""
    assert read_sender(text) is None
