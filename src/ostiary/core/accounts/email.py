"""E-mail addresses. One function decides what is a valid address and which two addresses are the same."""

import re
import unicodedata
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email

from ostiary.errors import InvalidEmail

_LONGEST: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
# RFC 2047 §2: a mail program would decode it and show an address that differs from the stored one
_ENCODED_WORD: Final = re.compile(r"=\?.*\?=")
_INVALID: Final = "The e-mail address is not valid."


class Email(NamedTuple):
    """``address`` is shown and used for mails. ``key`` is used to look up accounts."""

    address: str
    key: str

    @property
    def mailbox(self) -> str:
        """``key`` without a ``+tag``, which most servers deliver to the same inbox. Mail limits count by it."""
        local, _, domain = self.key.rpartition("@")
        return f"{local.partition('+')[0]}@{domain}"


def parse_email(text: str) -> Email:
    """The address in its normal form.

    Addresses that differ only in upper and lower case are the same: the local part is folded too, as every large
    provider does. Characters that normalisation turns into others (a full-width at sign, a Kelvin sign, an ideographic
    full stop) are refused, because other software may read the text as a different address (CVE-2019-19844).

    Raises:
        InvalidEmail: not an address that can receive mail.
    """
    if len(text) > _LONGEST or _ENCODED_WORD.search(text) or _has_look_alikes(text):
        raise InvalidEmail(_INVALID)
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise InvalidEmail(_INVALID) from None
    typed = _folded(text.rpartition("@")[2])
    if typed not in {_folded(found.domain), found.ascii_domain}:
        raise InvalidEmail(_INVALID)
    address = found.ascii_email or found.normalized
    return Email(address=address, key=address.lower())


def _has_look_alikes(text: str) -> bool:
    """Whether compatibility normalisation changes a character, or any normalisation turns one into ASCII."""
    return unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text) or any(
        not character.isascii() and unicodedata.normalize("NFC", character).isascii() for character in text
    )


def _folded(domain: str) -> str:
    return unicodedata.normalize("NFC", domain).casefold()
