"""Remember which objects have done their work, so that their removal is neither drift nor ill health (rule J7)."""

from __future__ import annotations

from dataclasses import replace

import structlog

from services.applier.observe import Observer
from services.applier.state import Entry, Inventory
from services.applier.tools import Tools
from shared.errors import TowlineError

log = structlog.get_logger("services.applier")


def is_done(entry: Entry, observer: Observer) -> bool:
    """Tell whether an object has done its work and may be absent."""
    return entry.done or (bool(entry.uid) and entry.uid == observer.healths.done(entry.key))


async def remembered(inventory: Inventory, tools: Tools) -> Inventory:
    """Return an inventory that knows what is done, written before the cluster removes it; unwritten it is unchanged."""
    new = [each for each in inventory.entries.values() if not each.done and is_done(each, tools.observer)]
    if not new:
        return inventory
    found = replace(inventory, entries={**inventory.entries, **{each.key: replace(each, done=True) for each in new}})
    try:
        await tools.storage.write(found, tools.accepted())
    except TowlineError as error:
        log.warning("inventory_unwritten", app=inventory.header.app, error=error.message)
        return inventory
    return found
