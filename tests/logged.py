"""What the log would say: fields included, which `written(caplog)` leaves out."""

import logging
from typing import Any

from ostiary.cli.log import JsonLines


def written(caplog: Any, *, logger: str = "") -> str:
    """Every line so far, as a server writes it, from loggers with this prefix."""
    return "\n".join(line(record) for record in caplog.records if record.name.startswith(logger))


def line(record: logging.LogRecord) -> str:
    return JsonLines().format(record)
