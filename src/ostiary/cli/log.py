"""The application log: one line for each event, in ASCII, whatever a value holds. JSON, or readable on a terminal.

A user agent with line breaks, a terminal escape or U+2028 can neither begin a line of its own nor change the terminal
(N4), and no line grows without bound.
"""

import json
import logging
import re
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
    """``time``, ``level``, ``logger`` and ``event`` first, then the ``extra`` fields, such as ``request_id``.

    Of an exception only types and places are written, because a driver's message may quote a password.
    """

    def format(self, record: logging.LogRecord) -> str:
        # ensure_ascii: C1 controls, bidirectional overrides and line separators beyond ASCII are escaped as well
        return json.dumps(self.fields(record), ensure_ascii=True)

    @staticmethod
    def fields(record: logging.LogRecord) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _capped(_message(record)),
        }
        line |= {name: _plain(value) for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _capped(trace(record.exc_info[1]))
        return line


class ReadableLines(JsonLines):
    """For a terminal: ``12:00:00 INFO request.refused status=401 reason=token_expired``. A value that is not a plain
    word is written as JSON, so that it cannot forge a field or reach the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = self.fields(record)
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        event = _word(line.pop("event"))
        del line["time"], line["level"], line["logger"]
        shown = [f"{name}={_word(value)}" for name, value in line.items() if value is not None and value != ""]
        return " ".join([time, record.levelname, event, *shown])


def guard() -> None:
    """Keeps other code from writing to stderr without `JsonLines`: warnings, and lines that logging cannot write."""
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # it would print the parts of such a line as they are


def configuration(*, level: str, readable: bool) -> dict[str, Any]:
    """For ``logging.config.dictConfig``: our own events from ``level`` up, others' from WARNING up, on stderr.

    Args:
        readable: lines for people at a terminal, instead of JSON.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": ReadableLines if readable else JsonLines}},
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


_WORD: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""Printable ASCII without quote, backslash, equals sign and space."""


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    return text if _WORD.fullmatch(text) else json.dumps(text, ensure_ascii=True)


def _plain(value: object) -> object:
    """Numbers and truth values unchanged, mappings with plain values, everything else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_capped(str(name)): _plain(member) for name, member in value.items()}
    return _capped(str(value))


def _capped(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
