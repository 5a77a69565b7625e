"""Files of the hub's owner, read again when they change: what is written there counts without a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """Return what is another after each change of a file; blocks.

    Raises:
        OSError: there is none that can be seen.
    """
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


class Reread(Generic[T]):
    """What `parse` makes of the file at `path`; without a file, `absent`."""

    def __init__(self, path: Path, parse: Callable[[bytes], T], absent: T) -> None:
        self.path = path
        self._parse = parse
        self._absent = absent
        self._stamp: Stamp | None = None
        self._known = absent

    def value(self) -> T:
        """Return what the file says now; blocks.

        Raises:
            OSError: it cannot be read. And whatever `parse` raises, at each call until the file is mended.
        """
        try:
            stamp = stamp_of(self.path)
            if stamp != self._stamp:
                self._known = self._parse(self.path.read_bytes())
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._known = None, self._absent
        return self._known
