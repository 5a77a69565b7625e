"""Keep a process small that is one agent and nothing else.

By itself, so that a command which serves no probes need not load aiohttp's server for it.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
from asyncio import sslproto

M_MMAP_THRESHOLD = -3
THRESHOLD_BYTES = 128 << 10
TLS_BUFFER_BYTES = 32 << 10
TRIM_S = 10.0


def save_memory() -> None:
    """Let freed memory go back to the system as long as the event loop runs; without glibc there is nothing to do."""
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    name = ctypes.util.find_library("c")
    library = ctypes.CDLL(name) if name else None
    if library is None or not hasattr(library, "malloc_trim"):
        return
    library.mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES)
    loop = asyncio.get_running_loop()

    def trim() -> None:
        # Pages between blocks in use go back only when asked for: an eighth of the memory after a large bundle.
        library.malloc_trim(0)
        loop.call_later(TRIM_S, trim)

    trim()
