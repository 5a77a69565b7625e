"""Errors of the bus, and which answer of the server means which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import PermanentError, TransientError

_WRONG_SEQUENCE = frozenset({10071, 10164})
_FULL = frozenset({10077, 10047, 10023})
_TOO_LARGE = 10054
_MISSING = frozenset({10059, 10014})


class BusUnavailableError(TransientError):
    """Not connected, no answer in time, or nobody there to answer."""

    code = "bus.unavailable"


class MissingError(BusUnavailableError):
    """The stream or consumer is not there: the bus is being rebuilt."""

    code = "bus.missing"


class WrongSequenceError(PermanentError):
    """Somebody else published on this subject since it was read."""

    code = "bus.wrong-sequence"


class NotPermittedError(PermanentError):
    """These credentials may not do that."""

    code = "bus.not-permitted"


class BusRefusedError(PermanentError):
    """The server will not take this message or request, however often it is asked."""

    code = "bus.refused"


def refusal(subject: str, error: Mapping[str, Any]) -> TransientError | PermanentError:
    """Return the exception for an `error` in an answer of the server's API to `subject`."""
    code, status = int(error.get("err_code", 0)), int(error.get("code", 0))
    text = f"{subject}: {error.get('description', 'refused')} ({code})"
    if code in _WRONG_SEQUENCE:
        return WrongSequenceError(text, hint="read the present message, then decide again")
    if code in _MISSING:
        return MissingError(text)
    if code in _FULL:
        return BusUnavailableError(text, code="bus.full", hint="raise the file limit of the bus, or free space")
    if code == _TOO_LARGE or 400 <= status < 500:
        return BusRefusedError(text)
    return BusUnavailableError(text)
