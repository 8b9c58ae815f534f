"""E-mail addresses. One function decides what is a valid address and which two addresses are the same."""

import re
import unicodedata
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from ostiary.core.accounts.settings import AccountSettings
from ostiary.core.settings import Settings
from ostiary.core.typed import trimmed
from ostiary.errors import InvalidEmail

_LONGEST: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL_PART: Final = 64  # octets: RFC 5321 §4.5.3.1.1
_LONGEST_DOMAIN: Final = 255  # octets: RFC 5321 §4.5.3.1.2, which RFC 6531 §3.1 also counts in UTF-8
_LONGEST_LABEL: Final = 63  # octets of the ASCII form, which is never shorter: RFC 1035 §2.3.4, RFC 5890 §2.3.2.1
_MOST_TYPED: Final = 1000  # characters, with the white space around the address
# RFC 2047 §2: a mail program would decode it and show an address that differs from the stored one
_ENCODED_WORD: Final = re.compile(r"=\?.*\?=")

_INVALID: Final = "The e-mail address is not valid."
_PRIVATE: Final = "The domain of the e-mail address is incomplete or private (accounts.private_domains)."

# RFC 6761, RFC 6762 appendix G, RFC 8375, and ICANN's resolution of 2024-07-29 on .internal
_PRIVATE_DOMAINS: Final = ("local", "localhost", "test", "internal", "home.arpa")
_NO_DOMAINS: Final = frozenset({"arpa", "invalid", "onion"})  # never for mail, also as a single label
_BELOW: Final = ".example"  # makes a private domain look public to email-validator, which then checks its syntax


class Email(NamedTuple):
    """``address`` is shown and used for mails. ``key`` is used to look up accounts."""

    address: str
    key: str

    @property
    def mailbox(self) -> str:
        """``key`` without a ``+tag``, which most servers deliver to the same inbox. Mail limits count by it."""
        local, _, domain = self.key.rpartition("@")
        return f"{local.partition('+')[0]}@{domain}"


def parse_email(text: str, *, private: bool = False) -> Email:
    """The address in its normal form, without white space around it.

    Addresses that differ only in upper and lower case are the same: the local part is folded too, as every large
    provider does. Characters that normalisation turns into others (a full-width at sign, a Kelvin sign, an ideographic
    full stop) are refused, because other software may read the text as a different address (CVE-2019-19844).

    Args:
        private: whether the domain may be a private one, such as ``printer.local`` or a single label.

    Raises:
        InvalidEmail: not an address that can receive mail.
    """
    typed = trimmed(text) if len(text) <= _MOST_TYPED else text
    local, _, domain = typed.rpartition("@")
    # Only these lengths bound the time that normalisation and IDNA take.
    if not _fits(local, domain) or _ENCODED_WORD.search(typed) or _has_look_alikes(domain):
        raise InvalidEmail(_INVALID)
    is_private = _is_private(domain)
    if is_private and not private:
        raise InvalidEmail(_PRIVATE)
    found = _validated(f"{typed}{_BELOW}" if is_private else typed)
    suffix = _BELOW if is_private else ""
    if _folded(domain + suffix) not in {_folded(found.domain), found.ascii_domain}:
        raise InvalidEmail(_INVALID)
    address = (found.ascii_email or found.normalized).removesuffix(suffix)
    return Email(address=address, key=address.lower())


def read_email(settings: Settings, text: str) -> Email:
    """`parse_email` for the domains that this installation accepts."""
    return parse_email(text, private=settings.of(AccountSettings).private_domains)


def _fits(local: str, domain: str) -> bool:
    """Whether the lengths allow an address. The local part must be ASCII: nothing here sends mail with SMTPUTF8."""
    if not (local.isascii() and 0 < len(local) <= _LONGEST_LOCAL_PART and len(local) + len(domain) < _LONGEST):
        return False
    if len(domain.encode(errors="surrogatepass")) > _LONGEST_DOMAIN:
        return False
    return all(len(label) <= _LONGEST_LABEL for label in unicodedata.normalize("NFC", domain).split("."))


def _is_private(domain: str) -> bool:
    folded = domain.lower()
    if any(folded == each or folded.endswith(f".{each}") for each in _PRIVATE_DOMAINS):
        return True
    # a number, also a hexadecimal one, could be read as an IPv4 address
    is_number = folded.isnumeric() or folded.startswith("0x")
    return "." not in folded and folded not in _NO_DOMAINS and not is_number and folded != ""


def _validated(text: str) -> ValidatedEmail:
    try:
        return validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise InvalidEmail(_INVALID) from None


def _has_look_alikes(text: str) -> bool:
    """Whether compatibility normalisation changes a character, or any normalisation turns one into ASCII."""
    return unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text) or any(
        not character.isascii() and unicodedata.normalize("NFC", character).isascii() for character in text
    )


def _folded(domain: str) -> str:
    return unicodedata.normalize("NFC", domain).casefold()
