"""The mail about a sign-in from a new device."""

from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.audit.queries import count_recent
from ostiary.core.clock import MICROSECONDS, TO_THE_MINUTE, moment
from ostiary.core.devices.model import ADDED, ANNOUNCED, DISOWNABLE, Recognised
from ostiary.core.mail import plain_words, render_mail
from ostiary.core.plug import Actor, Ambient, Mail
from ostiary.store.database import Transaction

_PACKAGE: Final = "ostiary.core.devices"
_HOUR: Final = 3600
_DAY: Final = 86400


async def new_device(
    ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, device: Recognised
) -> Mail | None:
    """The mail that tells the account owner when, with which device and from which address the sign-in happened, and
    how to end it. Post it after the commit. None for a known device, and None if the owner has already received enough
    of these mails within the last hour."""
    if device.disown is None:
        return None
    # counted in the audit log, because devices may have been added and forgotten again
    now, hour = ambient.now(), _HOUR * MICROSECONDS
    added = await count_recent(tx, account_id, ADDED, now=now, within=hour, most=ANNOUNCED + 1)
    account = await accounts.by_id(tx, account_id)
    if account is None or added > ANNOUNCED:
        return None
    return render_mail(
        _PACKAGE,
        "new_device.txt",
        to=account.email,
        host=ambient.settings.issuer_host,
        when=f"{moment(ambient.now()):{TO_THE_MINUTE}}",
        device=plain_words(device.name),
        source=actor.source.address,
        link=f"{ambient.settings.issuer}{ambient.settings.prefix}/devices/disown#{device.disown}",
        days=DISOWNABLE // _DAY,
        many=added if added == ANNOUNCED else 0,
    )
