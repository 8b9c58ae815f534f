"""URLs in settings."""

import re
import urllib.parse


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
