"""Mail: rendered from a slice's own templates, queued, and sent after the answer is given.

Owns transports and the queue. Knows nothing of accounts: whoever posts a mail names a stored address.
"""

from ostiary.core.mail.queue import MailQueue
from ostiary.core.mail.templates import plain_words, render_mail, render_page
from ostiary.core.mail.transport import ConsoleTransport, SmtpTransport, Transport, transport_from

__all__ = [
    "ConsoleTransport",
    "MailQueue",
    "SmtpTransport",
    "Transport",
    "plain_words",
    "render_mail",
    "render_page",
    "transport_from",
]
