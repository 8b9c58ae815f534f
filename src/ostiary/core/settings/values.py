"""Values: from text or toml to the type of the field, and back to text for people."""

import re
from typing import Any, Final

from ostiary.core.settings.secret import Secret
from ostiary.core.settings.section import Setting
from ostiary.store.hot import Rate

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_NAMES: Final = {seconds: name for name, seconds in _UNITS.items()}
_MOST: Final = Rate(1_000_000, 86400)


def converted(value: Any, hint: Any) -> Any:
    """``value`` as the type of the field. Raises TypeError or ValueError that says ``must be …``."""
    if hint is bool:
        return _as_bool(value)
    if hint is int:
        return _as_int(value)
    if hint is Rate:
        return value if isinstance(value, Rate) else parse_rate(value)
    if hint == tuple[str, ...]:
        return _as_texts(value)
    if hint == Secret | None:
        return None if value is None else Secret(_as_text(value))
    if hint == str | None and value is None:
        return None
    return _as_text(value)


def problem_with(value: Any, setting: Setting) -> str | None:
    """What its bounds and choices say about a converted value, as the end of a sentence."""
    facts = setting.facts
    if (facts.least is not None and value < facts.least) or (facts.most is not None and value > facts.most):
        return f"must be between {facts.least} and {facts.most}, not {value}"
    if facts.choices and value not in facts.choices:
        return f"must be {_either(facts.choices)}, not {value!r}"
    if isinstance(value, Rate) and not (value.count <= _MOST.count and value.seconds <= _MOST.seconds):
        return f"must be like 5/minute, with at most {_MOST.count} in at most {_MOST.seconds} seconds"
    return None


def parse_rate(text: Any) -> Rate:
    """``5/minute``, ``100/hour``, ``3/30s`` → Rate. Raises ValueError with what is expected."""
    if isinstance(text, str):
        if named := re.fullmatch(r"([0-9]{1,7})/(second|minute|hour|day)", text):
            return _rate(int(named[1]), _UNITS[named[2]])
        if counted := re.fullmatch(r"([0-9]{1,7})/([0-9]{1,5})s", text):
            return _rate(int(counted[1]), int(counted[2]))
    raise ValueError("must be like 5/minute or 3/30s")


def shown(value: Any) -> str:
    """A value as it is written in a variable or a toml file. Secrets are hidden; an empty value is ``""``."""
    if isinstance(value, Secret):
        return "hidden"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Rate):
        return f"{value.count}/{_NAMES.get(value.seconds, f'{value.seconds}s')}"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _rate(count: int, seconds: int) -> Rate:
    try:
        return Rate(count, seconds)
    except ValueError:
        raise ValueError("must be like 5/minute") from None


def _either(choices: tuple[str, ...]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]])


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {type(value).__name__}")
    return value


def _as_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    if not isinstance(value, list | tuple):
        raise TypeError(f"must be texts, not {type(value).__name__}")
    return tuple(_as_text(item) for item in value)


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError("must be true or false")
    return words[value.lower()]


def _as_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # int() would also take '1_0', ' 1 ' and other scripts' digits
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,12}", value):
        raise ValueError("must be a whole number")
    return int(value)
