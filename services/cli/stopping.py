"""Stop what a command runs: by a signal, or by errors of several tasks at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.runtime.lifecycle import Lifecycle


@contextmanager
def stopped_by_signals(life: Lifecycle, *also: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop what `life` stands for, and call each of `also`."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        life.stopping.set()
        for call in also:
            call()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the single errors of a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error
