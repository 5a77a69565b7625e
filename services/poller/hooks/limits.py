"""How many deliveries count: so many at once and in the long run, and each only once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """Lets `burst` pass at once and `per_s` in the long run; times are seconds of one clock that only rises."""

    burst: float
    per_s: float
    _left: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._left = self.burst

    def take(self, now: float) -> bool:
        """Tell whether one more may pass."""
        since = now - self._at if self._at is not None else 0.0
        self._left = min(self.burst, self._left + since * self.per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Remembered:
    """The last `limit` keys that were added."""

    limit: int
    _keys: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def add(self, keys: Iterable[bytes]) -> bool:
        """Remember `keys`; tell whether all of them are new."""
        new = True
        for key in keys:
            new = new and key not in self._keys
            self._keys[key] = None
            self._keys.move_to_end(key)
        while len(self._keys) > self.limit:
            self._keys.popitem(last=False)
        return new
