"""One writer each: a lock file that the kernel releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import PermanentError

_MAX_BYTES = 64


class AlreadyRunningError(PermanentError):
    """Another process holds the lock."""

    code = "runtime.already-running"


@contextmanager
def hold_lock(path: Path, program: str) -> Iterator[None]:
    """Hold the lock at `path`; the file stays, because removing it would let two hold "the" lock.

    Raises:
        AlreadyRunningError: somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, _MAX_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"{program} runs already in {path.parent} (process {holder})",
                hint="stop that one, or name another data folder",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
