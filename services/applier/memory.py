"""Keep a process small that is one agent and nothing else.

By itself, so that a command which serves no probes need not load aiohttp's server for it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from asyncio import sslproto

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
THRESHOLD_BYTES = 128 << 10
TLS_BUFFER_BYTES = 32 << 10


def save_memory() -> None:
    """Let freed memory go back to the system; without glibc there is nothing to set."""
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    name = ctypes.util.find_library("c")
    library = ctypes.CDLL(name) if name else None
    if library is not None and hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, THRESHOLD_BYTES)
