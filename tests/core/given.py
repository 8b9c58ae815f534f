"""Settings for tests: nothing comes from the environment or a file."""

from typing import Any

from ostiary.app.slices import read_settings
from ostiary.core.settings import Section, Settings


def given(*sections: Section, **top: Any) -> Settings:
    """The settings of an installation with these arguments."""
    return read_settings(top, sections, config=None, environ={}).settings
