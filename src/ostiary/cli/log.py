"""The application log: one line of ASCII for each event, as JSON, or in a readable form on a terminal.

Control characters are escaped. A user agent with line breaks, a terminal escape or U+2028 can neither start a new line
nor change the terminal (N4). The length of a value is limited.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ostiary.trace import trace

LONGEST: Final = 2048
"""Characters of one value. A longer value is cut and ends in ``…``."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({})))
"""The attributes of every record. All other attributes came as ``extra``."""

_CARRIES_FOREIGN_WORDS: Final = "asyncio"
"""A logger whose messages continue with the repr of a future, which quotes the text of an exception."""


class JsonLines(logging.Formatter):
    """Each line starts with ``time``, ``level``, ``logger`` and ``event``. The ``extra`` fields follow, such as
    ``request_id``.

    For exceptions, only types and places are written, because a driver's message may quote a password.
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
    word is written as JSON, so it cannot forge a field or change the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = self.fields(record)
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        event = _word(line.pop("event"))
        del line["time"], line["level"], line["logger"]
        shown = [f"{name}={_word(value)}" for name, value in line.items() if value is not None and value != ""]
        return " ".join([time, record.levelname, event, *shown])


def guard() -> None:
    """Keeps other code from writing to stderr without a formatter: warnings, and records that logging cannot format."""
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # otherwise logging prints the parts of such a record unescaped


def configuration(*, level: str, readable: bool) -> dict[str, Any]:
    """For ``logging.config.dictConfig``. Logs to stderr: our own events from ``level`` up, all others from WARNING up.

    Args:
        readable: whether to write readable lines instead of JSON.
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
    # a wrong format must not reach logging's own error handler, which prints the arguments unescaped
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
    """Integers and booleans unchanged, mappings with plain values, and everything else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_capped(str(name)): _plain(member) for name, member in value.items()}
    return _capped(str(value))


def _capped(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
