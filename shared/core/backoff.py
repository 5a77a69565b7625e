"""Say how long to wait after failures: twice as long after each, up to a limit."""

from __future__ import annotations

_DOUBLINGS = 16
"""More would, after hours of failures, be no number any more."""


def backoff_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after so many failures in a row, from 1."""
    return min(first_s * 2.0 ** min(failures - 1, _DOUBLINGS), longest_s)
