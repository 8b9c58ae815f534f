"""Mail: rendered from a slice's own templates, queued, and sent after the response.

Owns transports and the queue. Does not depend on accounts: callers pass a stored address.
"""

from ostiary.core.mail.probe import MailServerUnusable, probe
from ostiary.core.mail.queue import MailQueue
from ostiary.core.mail.settings import MailSettings
from ostiary.core.mail.templates import plain_words, render_mail, render_page
from ostiary.core.mail.transport import ConsoleTransport, SmtpTransport, Transport, transport_from

__all__ = [
    "ConsoleTransport",
    "MailQueue",
    "MailServerUnusable",
    "MailSettings",
    "SmtpTransport",
    "Transport",
    "plain_words",
    "probe",
    "render_mail",
    "render_page",
    "transport_from",
]
