"""URLs in settings."""

import re
import urllib.parse
from typing import Final

# RFC 3986 §3.2 and §3.3. No @ may follow the host: it would belong to a password with an unencoded / or ?, whose rest
# would be taken for a host, a path or a query, and shown.
_CHARACTER: Final = r"[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2}"
_HOST: Final = rf"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:{_CHARACTER})*)(?::[0-9]{{0,5}})?"
_SERVER_URL: Final = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*://(?:(?:{_CHARACTER}|[:,])*@)?{_HOST}(?:,{_HOST})*(?:[/?](?:{_CHARACTER}|[:,/?\[\]])*)?"
)
_INVALID: Final = (
    "is not a valid URL. Check host and port. In its user name and password, percent-encode everything except letters "
    "and digits: # is %23, @ is %40, : is %3A, / is %2F, ? is %3F, % is %25, a space is %20"
)


def check_server_url(url: str) -> str | None:
    """What is wrong with a URL that may hold a password, as the end of a sentence, or None. It may name several hosts.

    It quotes nothing of the URL, because nobody knows where a password with an unencoded character ends.
    """
    return None if _SERVER_URL.fullmatch(url) else _INVALID


def plain_url(text: str) -> urllib.parse.SplitResult | None:
    """The parts of an http(s) URL that has only scheme, host, port and path, or None.

    urlsplit() silently drops some characters, such as line breaks. They would stay in ``iss`` and in links of mails.
    """
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?", text):
        return None
    try:
        parts = urllib.parse.urlsplit(text)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # brackets without an IPv6 address, a port above 65535
        return None
