"""Stop what a command runs: by a signal, or by errors of several tasks at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.errors import TowlineError

if TYPE_CHECKING:
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


def run_to_end(work: Coroutine[Any, Any, None]) -> int:
    """Run `work`; of several errors at once the first that somebody can act on is raised alone."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        known = [each for each in _leaves(group) if isinstance(each, TowlineError)]
        if not known:
            raise
        raise known[0] from group
    return 0


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the single errors of a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
