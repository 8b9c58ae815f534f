"""docs/settings.md says of every setting what the code says."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from ostiary.core.settings import Settings
from ostiary.store.hot import Rate

PAGE = Path(__file__).parents[2] / "docs/settings.md"

UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


def shown(default: Any) -> str:
    """A default as a reader would write it into a toml file or an environment variable."""
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Rate):
        return f"`{default.count}/{UNITS[default.seconds]}`"
    return f"`{default}`"


def test_the_page_has_every_setting_with_its_default_and_its_words():
    """In the order of the code, and no other setting."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    fields = dataclasses.fields(Settings)
    assert rows == [(field.name, shown(field.default), field.metadata["doc"]) for field in fields]
