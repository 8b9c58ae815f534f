"""Text that people type or paste: addresses and codes. Never used for passwords, which count exactly as sent."""

import unicodedata
from typing import Final

_WHITE_SPACE: Final = (
    # the property White_Space: Unicode 16, PropList.txt
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
# Zero-width spaces, and the marks for text direction that mail programs and address books put around what is copied.
_INVISIBLE: Final = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u061c"
_OUTER: Final = _WHITE_SPACE + _INVISIBLE

_DASHES: Final = "\u2212\u00ad"  # the minus sign and the soft hyphen are not in the category Pd
_LONGEST_CODE: Final = 100  # characters: a recovery code has 24, and one separator after each leaves room


def trimmed(text: str) -> str:
    """``text`` without white space and invisible marks at both ends."""
    return text.strip(_OUTER)


def bare_code(text: str) -> str:
    """A code without white space, dashes and invisible marks, wherever they are. A text that is too long for a code is
    returned unchanged, and is no code.

    Digits of other scripts stay as they are: SP 800-63B and RFC 6238 know ASCII digits only.
    """
    if len(text) > _LONGEST_CODE:
        return text
    return "".join(character for character in text if not _separates(character))


def _separates(character: str) -> bool:
    return character in _OUTER or character in _DASHES or unicodedata.category(character) == "Pd"
