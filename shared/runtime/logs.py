"""Write logs: one line for one event, whatever the facts contain, and never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[str, ...] = get_args(Level)
VALUE_CHARACTERS = 4000
DEPTH = 6
REDACTED = "[redacted]"

# Names of facts that hold secrets, wherever they stand.
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:token|secret|password|passwd|seed|jwt|authorization|credential|private_key|api_key|cookie)s?$",
    re.IGNORECASE,
)
# What a secret looks like inside a text: NKey seeds, JWTs, URL credentials, bearer headers, PEM keys.
_SECRET_TEXT = re.compile(
    r"\bS[UAOCNX][A-Z2-7]{56}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?<=[Bb]earer )[^\s\"',]+"
    r"|(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
# C0 and C1 controls, line separators, and marks that reorder text: they make one line look like another.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def configure_logging(form: Literal["json", "console"] = "json", level: str = "info") -> None:
    """Send every log of this process, those of libraries too, to standard error in one form."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
        escape,
    ]
    renderer: Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell too much below warnings, and some of it is not theirs to tell.
    root.setLevel(max(number, logging.WARNING))


def get_logger(name: str = "") -> Any:
    """Return a logger; bind context to it once, then log events with facts."""
    return structlog.get_logger(name) if name else structlog.get_logger()


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace secrets by name and by look."""
    return {name: _redacted(name, value, DEPTH) for name, value in event.items()}


def escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Spell out characters that would break or disguise a line, and cut texts that are too long."""
    return {_escaped_text(name): _escaped(value, DEPTH) for name, value in event.items()}


def _redacted(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
        return REDACTED
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item, depth - 1) for item in value]
    return _SECRET_TEXT.sub(REDACTED, str(value))


def _escaped(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _escaped_text(value)
    if depth and isinstance(value, dict):
        return {_escaped_text(key): _escaped(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list):
        return [_escaped(item, depth - 1) for item in value]
    return value


def _escaped_text(text: str) -> str:
    cut = text
    if len(text) > VALUE_CHARACTERS:
        # The end of a traceback says what went wrong.
        half = VALUE_CHARACTERS // 2
        cut = f"{text[:half]} ... ({len(text)} characters) ... {text[-half:]}"
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def _json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")
