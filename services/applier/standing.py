"""How an app stands between runs, and which of its objects are not as they were left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from services.applier.finished import is_done
from services.applier.observe import Observer
from services.applier.options import Drift, Options
from services.applier.state import Entry
from services.applier.takeover import takes
from shared.core.status import Sync


@dataclass(slots=True)
class Standing:
    """What is told of the app between runs."""

    sync: Sync = Sync.UNKNOWN
    reason: str = ""
    message: str = ""
    since: float = field(default_factory=time.monotonic)
    """When the last release was applied: health has its time limit from here."""

    def say(self, sync: Sync, reason: str = "", message: str = "") -> None:
        """Say something else, about the same release."""
        self.sync, self.reason, self.message = sync, reason, message


def strays(entry: Entry, observer: Observer, options: Options, cluster: str) -> bool:
    """Tell whether an object is not as our last write left it, as far as the watches tell."""
    if not entry.desired or entry.hook or is_done(entry, observer) or options.drift is Drift.IGNORE:
        return False
    live = observer.present(entry.key)
    if live is None:
        return observer.watched(entry.key)
    if any(takes(writer, options.taken) for writer in live.writers):
        return True
    as_left = (live.uid, live.owned, live.owned_at) == (entry.uid, entry.owned, entry.owned_at)
    return not (as_left and live.agent == cluster and live.owner)
