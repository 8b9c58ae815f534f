"""Settings: stated by each slice, merged and checked in one place.

A slice states a frozen `Section` in its own folder: type, default, bounds and one sentence of documentation stand
together on the field. `load` merges argument, environment, toml file and default, in that order, and checks the result.
This folder knows no slice.
"""

from ostiary.core.settings.installation import Settings
from ostiary.core.settings.load import Finding, Loaded, Rule, load
from ostiary.core.settings.secret import NEW_SECRET, Secret
from ostiary.core.settings.section import Section, setting
from ostiary.core.settings.sources import ConfigFile
from ostiary.core.settings.urls import check_server_url, plain_url
from ostiary.core.settings.values import parse_rate, shown

__all__ = [
    "NEW_SECRET",
    "ConfigFile",
    "Finding",
    "Loaded",
    "Rule",
    "Secret",
    "Section",
    "Settings",
    "check_server_url",
    "load",
    "parse_rate",
    "plain_url",
    "setting",
    "shown",
]
