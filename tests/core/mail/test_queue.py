"""The mail queue: what happens when the server is unavailable, refuses or is slow. No response reveals it."""

import asyncio
import logging
import time

import pytest

from ostiary.core.mail import MailQueue, SmtpTransport
from ostiary.core.plug import Mail
from ostiary.settings import RegistrationSettings
from tests.core.installation import installation, told
from tests.core.mail.sink import sink
from tests.logged import written

SENDER = "no-reply@auth.example.com"
SECRET = "https://auth.example.com/auth/email/verify#token"


def mail(number=1):
    return Mail(f"person{number}@example.com", f"mail {number}", SECRET)


class Failing:
    """Fails with each of these errors, then stores the mails."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.tries = 0
        self.sent = []

    async def send(self, mail):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(mail)


async def all_sent(queue):
    async with asyncio.timeout(10):
        await queue._waiting.join()


@pytest.fixture
def no_pause():
    return {"pause": 0.001}


async def test_mails_are_sent_in_order(no_pause):
    transport = Failing()
    queue = MailQueue(transport, **no_pause)
    queue.open()
    for number in range(5):
        queue.post(mail(number))
    await queue.close()
    assert transport.sent == [mail(number) for number in range(5)]


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OSError("no route")], ids=repr)
async def test_an_unavailable_server_is_tried_three_times(error, caplog, no_pause):
    for failures, sent in ((2, 1), (3, 0)):
        transport = Failing(*[error] * failures)
        queue = MailQueue(transport, **no_pause)
        queue.open()
        queue.post(mail())
        await queue.close()
        assert (transport.tries, len(transport.sent)) == (3, sent)
    assert '"attempt": 3, "attempts": 3' in written(caplog)
    assert "token" not in written(caplog)
    assert "person1" not in written(caplog)


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), KeyError("x"), UnicodeError("x")], ids=repr)
async def test_after_any_error_of_the_transport_the_next_mail_is_sent(error, no_pause):
    """An address that causes an error in a library must not stop all mails until the next start."""
    transport = Failing(error)
    queue = MailQueue(transport, **no_pause)
    queue.open()
    queue.post(mail(1))
    queue.post(mail(2))
    await queue.close()
    assert transport.sent == [mail(2)]
    assert transport.tries == 2, "it is not retried, because a retry would fail in the same way"


async def test_temporary_refusals_are_retried_and_permanent_ones_are_not():
    """RFC 5321 §4.2.1: registering addresses that do not exist must not delay the mails of others."""
    async with sink() as server:
        server.replies = ["451 later"]
        queue = MailQueue(SmtpTransport(server.url, sender=SENDER), pause=0.2)
        queue.open()
        queue.post(mail(1))
        await all_sent(queue)
        assert [message["Subject"] for message in server.messages] == ["mail 1"]
        server.replies = ["554 never"]
        queue.post(mail(2))
        for number in range(10):
            queue.post(Mail(f"nobody{number}@example.com", "x", SECRET))  # the sink answers 550
        queue.post(mail(3))
        began = time.monotonic()
        await queue.close()
        assert time.monotonic() - began < 2
        assert [message["Subject"] for message in server.messages] == ["mail 1", "mail 3"]


async def test_a_full_queue_drops_the_mail_and_logs_it_without_the_text(caplog):
    queue = MailQueue(Failing())
    for number in range(1001):
        queue.post(mail(number))
    assert "mail.queue_full" in written(caplog)
    assert "token" not in written(caplog)
    queue.open()
    await queue.close()
    assert len(queue._transport.sent) == 1000


async def test_closing_waits_for_pending_mails_for_a_limited_time(caplog):
    class Hanging:
        async def send(self, _mail):
            await asyncio.sleep(60)

    queue = MailQueue(Hanging())
    queue.open()
    queue.post(mail())
    began = time.monotonic()
    await queue.close(patience=0.1)
    assert time.monotonic() - began < 30, "sending takes 60 seconds"
    assert "mail.not_sent_before_closing" in written(caplog)
    await queue.close()  # closing again has no effect


class Stuck:
    """Blocks until the test releases it, and then fails."""

    def __init__(self):
        self.let_go = asyncio.Event()

    async def send(self, _mail):
        await self.let_go.wait()
        raise ConnectionRefusedError


async def test_neither_response_nor_time_reveals_whether_mail_works(sqlite_url, caplog):
    """E1: the response is sent before any mail."""
    caplog.set_level(logging.CRITICAL)
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        good = await house.register("a@example.com")
        queue, stuck = house.ambient.mail, Stuck()
        queue._transport, queue._pause = stuck, 0.01
        bad = await house.register("b@example.com")
        assert not stuck.let_go.is_set()
        assert told(good) == told(bad)
        queue._transport = Failing()
        stuck.let_go.set()


async def test_mails_are_sent_one_after_the_other_and_in_the_background():
    order = []

    class Noting:
        async def send(self, mail):
            order.append(f"begin {mail.subject}")
            await asyncio.sleep(0.01)
            order.append(f"end {mail.subject}")

    queue = MailQueue(Noting())
    queue.open()
    queue.post(mail(1))
    queue.post(mail(2))
    assert order == []
    await queue.close()
    assert order == ["begin mail 1", "end mail 1", "begin mail 2", "end mail 2"]
