"""One writer: a lock beside the data, that the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import PermanentError


class AlreadyRunningError(PermanentError):
    """Another process holds the lock."""

    code = "program.already-running"


@contextmanager
def hold_lock(path: Path, program: str) -> Iterator[None]:
    """Hold the lock at `path` for `program` until the block ends.

    Raises:
        AlreadyRunningError: somebody holds it; its process is named.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"a {program} already works on {path.parent} (process {holder})",
                hint="stop it first, or use another folder",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
