"""Times that every verification goes by, and what no verifier may be made with."""

from typing import Final

from ostiary.errors import ConfigurationError

LEEWAY: Final = 30  # seconds by which clocks may differ, unless told otherwise
MAX_LEEWAY: Final = 120  # seconds; more is not a clock's inaccuracy
MAX_LIFETIME: Final = 24 * 3600  # seconds; no access token of ours lives longer


def check_parameters(issuer: str, audience: str, leeway: int) -> None:
    """Raises ConfigurationError for what no verifier may be made with."""
    for name, value in (("issuer", issuer), ("audience", audience)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} must be a text that is not empty")
    check_leeway(leeway)


def check_leeway(leeway: int) -> None:
    """Raises ConfigurationError for what is no inaccuracy of a clock."""
    if type(leeway) is not int or not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"leeway must be a whole number of seconds from 0 to {MAX_LEEWAY}")
