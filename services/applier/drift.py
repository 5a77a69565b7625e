"""Tell people what others did to our objects: which field, who, old and new value where that is no secret."""

from __future__ import annotations

from collections.abc import Mapping

from services.applier.diff import changes, extras_in, lines
from services.applier.kube.session import ClusterUnreachableError, Request, Sender
from services.applier.options import Extras, Options
from services.applier.ownership import as_ownership, taken_from_us
from services.applier.planned import Plan, Skip, SkipReason
from services.applier.restraint import corrections
from services.applier.state import Absent, Live, Present, Wanted
from services.applier.tools import Tools
from shared.core.canonical import decode
from shared.core.objects import ObjectKey

MAX_LINES = 50
MAX_READ = 10
"""So many drifted objects are read whole to name fields; more at once is no hand-made change."""


async def looked_into(
    tools: Tools,
    sender: Sender,
    todo: Plan,
    live: Mapping[ObjectKey, Live],
    wanted: Mapping[ObjectKey, Wanted],
    *,
    options: Options,
) -> tuple[Plan, tuple[str, ...]]:
    """Return what somebody else did, read before it is undone, and the plan in which what is no drift is none (I4).

    Who deleted something nobody can say.
    """
    keys = {step.key for step in corrections(todo)}
    keys |= {step.key for step in todo.steps() if isinstance(step, Skip) and step.reason is SkipReason.DRIFT_REPORTED}
    told: list[str] = []
    equal: set[ObjectKey] = set()
    for number, key in enumerate(sorted(keys)):
        match live.get(key):
            case Absent():
                told.append(f"{key} was deleted")
            case Present() as present:
                fields = await _fields(tools, sender, wanted[key], options) if number < MAX_READ else None
                told += (_in_short(key, present),) if fields is None else fields
                if fields == ():
                    equal.add(key)
    return (as_ownership(todo, equal) if equal else todo), tuple(told[:MAX_LINES])


async def _fields(tools: Tools, sender: Sender, wanted: Wanted, options: Options) -> tuple[str, ...] | None:
    """Return the fields of one object that are not as they should be; None when it cannot be read."""
    key = wanted.key
    if wanted.closed:
        return None
    resource = tools.mapper.find(key, wanted.version)
    if resource is None:
        return None
    try:
        reply = await sender.send(Request("GET", resource.path(key.namespace, key.name)), retries=1)
    except ClusterUnreachableError:
        return None
    if not reply.ok or reply.body is None:
        return None
    body = decode(wanted.body)
    changed = taken_from_us(changes(body, reply.body, options.ignore), reply.body)
    added = extras_in(body, reply.body, options.taken if wanted.policy.takeover else Extras.KEEP)
    return lines(key, (*changed, *added), tools.redaction)


def _in_short(key: ObjectKey, live: Present) -> str:
    return f"{key} was changed; others who write it: {', '.join(live.managers) or 'nobody now'}"
