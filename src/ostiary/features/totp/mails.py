"""Mails to the owner, at the stored address, about every change to the second factor."""

from typing import Final

from ostiary.core.accounts.model import Account
from ostiary.core.mail import render_mail
from ostiary.core.plug import Ambient, Mail

_PACKAGE: Final = "ostiary.features.totp"


def confirmed(ambient: Ambient, account: Account) -> Mail:
    return _render(ambient, account, "confirmed.txt")


def removed(ambient: Ambient, account: Account) -> Mail:
    return _render(ambient, account, "removed.txt")


def recovery_code_used(ambient: Ambient, account: Account) -> Mail:
    return _render(ambient, account, "recovery_code_used.txt")


def _render(ambient: Ambient, account: Account, template: str) -> Mail:
    return render_mail(_PACKAGE, template, to=account.email, host=ambient.settings.issuer_host)
