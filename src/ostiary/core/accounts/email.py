"""E-mail addresses: one function decides what is an address and which two are the same."""

import unicodedata
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email

from ostiary.errors import InvalidEmail

_LONGEST: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets


class Email(NamedTuple):
    """``address`` is shown and mailed to; ``key`` is what accounts are looked up by."""

    address: str
    key: str


def parse_email(text: str) -> Email:
    """The address in its normal form.

    Upper and lower case are the same person: the local part is folded too, as every large provider does. Characters
    that compatibility normalisation changes (a full-width at sign, a Kelvin sign) are refused, because elsewhere they
    may turn into another address (CVE-2019-19844).

    Raises:
        InvalidEmail: not an address that mail can reach; the text says why.
    """
    if len(text) > _LONGEST or unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        raise InvalidEmail("The e-mail address is not valid.")
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, allow_domain_literal=False)
    except EmailNotValidError:
        raise InvalidEmail("The e-mail address is not valid.") from None
    address = found.ascii_email or found.normalized
    return Email(address=address, key=address.lower())
