"""The application log: one JSON object on one line, in ASCII, whatever a value holds.

A user agent with line breaks, a terminal escape or U+2028 can then neither begin a line of its own nor paint one
(N4), and no line grows without bound.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ostiary.trace import trace

LONGEST: Final = 2048
"""Characters of one value. What is cut off ends in ``…``."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({})))
"""What every record has: all else came as ``extra``."""

_CARRIES_FOREIGN_WORDS: Final = "asyncio"
"""Its messages go on with the repr of a future, which quotes the exception's text."""


class JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger`` and ``event`` first, then what came as ``extra``, such as ``request_id``.

    Of an exception only its types and places are written: a driver's message may quote a password.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _capped(_message(record)),
        }
        line |= {name: _plain(value) for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _capped(trace(record.exc_info[1]))
        # ensure_ascii: C1 controls, bidirectional overrides and line separators beyond ASCII are escaped as well
        return json.dumps(line, ensure_ascii=True)


def guard() -> None:
    """Keeps others from writing to stderr past `JsonLines`: warnings, and lines that logging cannot write."""
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # it would print the parts of such a line as they are


def configuration(*, level: str) -> dict[str, Any]:
    """For ``logging.config.dictConfig``: our own events from ``level`` up, others' from WARNING up, on stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"ostiary": {"level": level}},
    }


def _message(record: logging.LogRecord) -> str:
    # a mistaken format must not reach logging's own error handler, which prints the arguments as they are
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - whatever formatting raises
        message = str(record.msg)
    return message.partition("\n")[0] if record.name == _CARRIES_FOREIGN_WORDS else message


def _plain(value: object) -> object:
    """Numbers and truth values as they are, mappings with plain values, all else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_capped(str(name)): _plain(member) for name, member in value.items()}
    return _capped(str(value))


def _capped(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
