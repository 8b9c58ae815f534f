"""What must be percent-encoded in the URLs of stores. A character that is not may move a part of the password."""

import re
from typing import Final

UNENCODED: Final = re.compile(r"[\s#]|%(?![0-9A-Fa-f]{2})")
