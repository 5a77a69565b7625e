"""Decide when objects are made anew that are run rather than kept: hooks, and what asks for it at each change (K3-K5).

Such an object carries the run that it was made for. One that this run already made is waited for and never
started twice, however often the agent was cut off in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from services.applier.compat import REACH
from services.applier.planned import Create, Making, Patch, Prune, Recreate, Skip, SkipReason, Stage, Step
from services.applier.policy import Hook, HookEnd, Phase, Renew
from services.applier.state import Entry, Header, Live, Present, Wanted
from services.applier.tracking import is_ours
from shared.core.objects import ObjectKey

LONGEST_STEM = 38
"""Jobs give their names to labels, which have 63 characters; 8 are the revision's, 10 the phase's, 4 the attempt's."""

_RUNS = frozenset({("batch", "Job"), ("", "Pod"), ("argoproj.io", "Workflow")})
"""Kinds whose objects run once: adopting one would be taking over its success."""
FIRST = -1
"""The stage of what is cleared away, before those of all kinds."""


def phase_at(wave: int) -> Phase:
    """Return the phase of a delivery to which a wave belongs."""
    if abs(wave) <= REACH:
        return Phase.DURING
    return Phase.BEFORE if wave < 0 else Phase.AFTER


def phases(stages: Iterable[Stage]) -> Iterator[tuple[Phase, tuple[Stage, ...]]]:
    """Yield the phases of a delivery with their stages, in order."""
    for phase, found in groupby(stages, key=lambda stage: phase_at(stage.wave)):
        yield phase, tuple(found)


def nameless(stem: str, revision: str, phase: Phase) -> str:
    """Return how the names begin that a hook without one gets; its attempt comes last (K7)."""
    return f"{stem[:LONGEST_STEM]}{revision[:8]}-{phase.lower()}-"


def attempt(beginning: str, kind: tuple[str, str], entries: Iterable[Entry]) -> int:
    """Return which attempt at a nameless hook is due: the last one until that is known to have failed."""
    tried = {
        int(entry.key.name.removeprefix(beginning)): entry
        for entry in entries
        if entry.hook and entry.key[:2] == kind and re.fullmatch(re.escape(beginning) + r"\d+", entry.key.name)
    }
    last = max(tried, default=1)
    return last + 1 if tried and tried[last].uid and not tried[last].desired else last


def predecessors(
    steps: Iterable[Step], entries: Mapping[ObjectKey, Entry], live: Mapping[ObjectKey, Live]
) -> tuple[Stage, ...]:
    """Return the deletions of what nameless hooks left under other names, where that is to go before new ones come (K4)."""
    found: dict[ObjectKey, tuple[int, Prune]] = {}
    for step in hooks_of(steps):
        for key in _left_by(step.wanted, entries, live):
            found[key] = step.wanted.wave, Prune(key, entries[key].version, entries[key].uid)
    return tuple(Stage(wave, FIRST, (prune,)) for wave, prune in found.values())


def _left_by(wanted: Wanted, entries: Mapping[ObjectKey, Entry], live: Mapping[ObjectKey, Live]) -> Iterator[ObjectKey]:
    hook = wanted.policy.hook
    if hook is None or not wanted.stem or HookEnd.BEFORE_CREATION not in hook.ends:
        return
    names = re.compile(rf"{re.escape(wanted.stem[:LONGEST_STEM])}[0-9a-f]+-{hook.phase.lower()}-\d+")
    for key, entry in entries.items():
        alike = entry.hook and key[:3] == wanted.key[:3] and key != wanted.key and names.fullmatch(key.name)
        state = live.get(key)
        if alike and isinstance(state, Present) and state.uid == entry.uid:
            yield key


def in_order(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Return stages in the order of their waves, and inside them of their ranks."""
    return tuple(sorted(stages, key=lambda stage: (stage.wave, stage.rank)))


def is_rescue(wanted: Wanted) -> bool:
    """Tell whether an object is only for a delivery that failed (K2)."""
    return wanted.policy.hook is not None and wanted.policy.hook.phase is Phase.RESCUE


def is_over(wanted: Wanted, entry: Entry | None, header: Header, bundle: str) -> bool:
    """Tell whether a hook has nothing to do: it ran for this bundle, or is for another time (K1, K5)."""
    hook = wanted.policy.hook
    if hook is None:
        return False
    ran = entry is not None and entry.desired == wanted.digest
    return ran or not _is_time(hook, header, bundle)


def _is_time(hook: Hook, header: Header, bundle: str) -> bool:
    """Tell apart the first delivery of an app and later ones; the first is over when it was applied whole."""
    if hook.first is None:
        return True
    return hook.first if header.settled_bundle in {"", bundle} else not hook.first


def run_step(wanted: Wanted, live: Present, entry: Entry | None, app: str, *, force: bool) -> Step | None:
    """Return how an object that exists is run; None: it is treated like any other."""
    hook, ours = wanted.policy.hook, is_ours(live, app, wanted.key)
    if hook is None:
        renews = ours and wanted.policy.renew is not Renew.NEVER and not (wanted.run and live.run == wanted.run)
        changed = entry is not None and entry.desired != wanted.digest
        return Recreate(wanted, live.uid) if renews and changed else None
    failed = has_failed(entry, live)
    if not ours and wanted.key[:2] not in _RUNS:
        return None
    # A run that was cut off is still this one's (K3). What somebody else left under this name has run for them, not for us.
    resumed = ours and live.run == wanted.run and not failed
    if not resumed and (failed or HookEnd.BEFORE_CREATION in hook.ends):
        return Recreate(wanted, live.uid)
    return Patch(wanted, live.uid, force=force)


def has_failed(entry: Entry | None, live: Present) -> bool:
    """Tell whether the very object ran and did not succeed, as `settled` leaves it."""
    return entry is not None and entry.hook and not entry.desired and bool(entry.uid) and entry.uid == live.uid


def hooks_of(steps: Iterable[Step]) -> list[Making]:
    """Return the steps that start a hook."""
    return [step for step in steps if isinstance(step, Making) and step.wanted.policy.hook]


def rerun(rescue: Step, wanted: Wanted, live: Live) -> Step:
    """Return how a hook for failures runs in a delivery that runs other hooks too: anew (K2)."""
    if rescue != Skip(wanted.key, SkipReason.UNCHANGED):
        return rescue
    return Recreate(wanted, live.uid) if isinstance(live, Present) else Create(wanted)


def ends(step: Making, *, failed: bool) -> bool:
    """Tell whether a hook's object is deleted now that its outcome is known (K4)."""
    hook = step.wanted.policy.hook
    return hook is not None and (HookEnd.FAILED if failed else HookEnd.SUCCEEDED) in hook.ends
