"""Time limits of every verification, and checks of the parameters of verifiers."""

from typing import Final

from ostiary.errors import ConfigurationError

LEEWAY: Final = 30  # seconds by which clocks may differ by default
MAX_LEEWAY: Final = 120  # seconds; clocks do not differ by more
MAX_LIFETIME: Final = 24 * 3600  # seconds; the maximum lifetime of an access token


def is_within(age: float, limit: float) -> bool:
    """Whether something of this ``age`` is younger than ``limit``, both in seconds.

    A negative age is not: the clock was set back, so the true age is unknown. NaN is not either.
    """
    return 0 <= age < limit


def check_parameters(issuer: str, audience: str, leeway: int) -> None:
    """Raises ConfigurationError if a parameter of a verifier is not valid."""
    for name, value in (("issuer", issuer), ("audience", audience)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} must be a string that is not empty")
    check_leeway(leeway)


def check_leeway(leeway: int) -> None:
    """Raises ConfigurationError if ``leeway`` is out of range."""
    if type(leeway) is not int or not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"leeway must be a whole number of seconds from 0 to {MAX_LEEWAY}")
