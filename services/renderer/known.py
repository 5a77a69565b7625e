"""Remember what was found out, up to a number of things; several threads may ask at the same time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Known(Generic[Key, Value]):
    """Values by key, at most `most`; what was found first goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Key, Value] = OrderedDict()

    def of(self, key: Key, find: Callable[[], Value]) -> Value:
        """Return what `find` returned for `key` at an earlier time, or returns now; what it raises is not remembered."""
        value = self._found.get(key)
        if value is None:
            # From here on another thread may drop it again, so it is not looked up.
            value = self._found[key] = find()
            if len(self._found) > self._most:
                self._found.popitem(last=False)
        return value
