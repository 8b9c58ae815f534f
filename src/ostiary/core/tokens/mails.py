"""Mails to the account owner about refresh tokens."""

from typing import Final

from ostiary.core.accounts.model import Account
from ostiary.core.clock import TO_THE_MINUTE, moment
from ostiary.core.mail import plain_words, render_mail
from ostiary.core.plug import Actor, Ambient, Mail
from ostiary.core.sessions.model import Session

_PACKAGE: Final = "ostiary.core.tokens"


def reused(ambient: Ambient, account: Account, session: Session, actor: Actor) -> Mail:
    """A spent refresh token was used again, so there are at least two copies of it."""
    return render_mail(
        _PACKAGE,
        "reused.txt",
        to=account.email,
        host=ambient.settings.issuer_host,
        device=plain_words(session.device_name or "") or "a device without a name",
        began=f"{moment(session.created_at):{TO_THE_MINUTE}}",
        source=actor.source.address,
    )
