"""What the owner of an account is told about its refresh tokens."""

from datetime import UTC, datetime
from typing import Final

from ostiary.core.accounts.model import Account
from ostiary.core.clock import MICROSECONDS
from ostiary.core.mail import render_mail
from ostiary.core.plug import Actor, Ambient, Mail
from ostiary.core.sessions.model import Session

_PACKAGE: Final = "ostiary.core.tokens"


def reused(ambient: Ambient, account: Account, session: Session, actor: Actor) -> Mail:
    """A spent refresh token came again: somebody has a copy of what only one may have."""
    began = datetime.fromtimestamp(session.created_at // MICROSECONDS, tz=UTC)
    return render_mail(
        _PACKAGE,
        "reused.txt",
        to=account.email,
        host=ambient.settings.issuer_host,
        device=session.device_name or "a device without a name",
        began=f"{began:%d %B %Y, %H:%M} UTC",
        source=actor.source.address,
    )
