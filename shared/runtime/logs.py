"""Logs: one event a line, nothing secret, nothing that a terminal or a reader of lines could be fooled by."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

LONGEST = 4096
"""Characters of one value; what others wrote may be any length."""
_HIDDEN = "<hidden>"
_SECRET_NAME = re.compile(r"(secret|token|password|passwd|seed|private|authorization|credential|jwt)s?$", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?P<url>\w+://)[^/\s:@]+:[^/\s@]+@"
    r"|(?P<bearer>\b(?:Bearer|Basic)\s+)[\w+/=.~-]+"
    r"|\b(?P<jwt>eyJ)[\w-]+\.[\w-]+\.[\w-]+"
    r"|\b(?P<seed>S[UAOCNX])[A-Z2-7]{56}\b"
)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    # Marks that turn the direction of text, and the separators that end a line for some readers.
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(form: str = "json", level: str = "info") -> None:
    """Set up the logs of this process: `json` for machines, `console` for people; both to standard error."""
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _harmless,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # What libraries say, at their own loudness: warnings and up.
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def get_logger(**context: Any) -> Any:
    """Return a logger that adds `context` to each of its events."""
    return structlog.get_logger(**context)


class _Forward(logging.Handler):
    """Hand the records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(logger=record.name)
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        log.log(max(record.levelno, logging.DEBUG), "library_said", text=record.getMessage(), **fields)


def _harmless(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what is secret, and escape what is no plain text."""
    for name, value in event.items():
        if _SECRET_NAME.search(name) and value:
            event[name] = _HIDDEN
        elif name != "exception":
            event[name] = _clean(value)
        else:
            event[name] = hidden(str(value))
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return hidden(value)[:LONGEST].translate(_CONTROL)
    if isinstance(value, dict):
        return {
            str(key): _HIDDEN if _SECRET_NAME.search(str(key)) and each else _clean(each) for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return hidden(str(value))[:LONGEST].translate(_CONTROL)


def hidden(text: str) -> str:
    """Return `text` without the credentials that can be told by their form."""
    return _SECRET_TEXT.sub(lambda found: (found["url"] or found["bearer"] or "") + _HIDDEN, text)
