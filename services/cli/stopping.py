"""Stop what a command runs: by a signal, or by errors of several tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.errors import TowlineError
from shared.runtime.stopping import leaves, on_signals

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Lifecycle


@contextmanager
def stopped_by_signals(life: Lifecycle, *also: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop what `life` stands for, and call each of `also`."""

    def stop(_signal: object) -> None:
        life.stopping.set()
        for call in also:
            call()

    with on_signals(stop):
        yield


def run_to_end(work: Coroutine[Any, Any, None]) -> int:
    """Run `work`; of several errors at once the first that somebody can act on is raised alone."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        known = [each for each in leaves(group) if isinstance(each, TowlineError | OSError)]
        if not known:
            raise
        raise known[0] from group
    return 0
