"""Judge a run by what it left: the ledger, the bus, the clusters' request logs, the objects (I1-I6, I10).

Every function raises AssertionError with what is wrong; `judged` looks at all of them.
"""

import asyncio
import json
import sys
from collections import defaultdict
from dataclasses import dataclass

from services.applier.sameness import quantity
from services.auditor.store import Store
from services.kubesim.requests import place_of
from shared import subjects
from shared.core.canonical import decode
from shared.core.objects import key_of
from shared.messages.renders import Rendered
from tests.support.line import PROJECT, Line

OWN_NAMESPACE = "towline"


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the ledger."""

    key: str
    type: str
    source: str
    commit: str
    data: dict


async def ledger_of(folder) -> list[Happened]:
    """Return the ledger's events in order, once its chain holds and no event stands in it twice (I4)."""
    async with Store.open(f"sqlite+aiosqlite:///{folder / 'auditor.db'}") as store:
        broken, entries, position = await store.verify(), [], 0
        while page := await store.entries(position):
            entries += page
            position = page[-1].position
    assert broken is None, f"I4: the chain breaks: {broken}"
    keys = [entry.key for entry in entries]
    assert len(keys) == len(set(keys)), "I4: an event stands twice"
    facts = [json.dumps(_told(entry), sort_keys=True) for entry in entries]
    twice = sorted({fact for fact in facts if facts.count(fact) > 1})
    assert not twice, f"I4: said twice under two keys: {twice[:3]}"
    return [
        Happened(entry.key, entry.type, entry.source, entry.commit, _told(entry).get("data") or {}) for entry in entries
    ]


def _told(entry) -> dict:
    body = decode(entry.body)
    return {name: value for name, value in body.items() if name not in {"position", "key"}}


def every_tip_is_told(ledger, source, tips):
    """I1: what was served was observed, or a later observation names it as superseded."""
    told = set()
    for event in ledger:
        if (event.type == "revision.observed" and event.source == source) or event.type == "revision.superseded":
            told |= {event.commit, *_superseded(event)}
    missing = [tip for tip in tips if tip not in told]
    assert not missing, f"I1: neither observed nor superseded: {missing}"


def _superseded(event) -> list[str]:
    found = event.data.get("superseded") or event.data.get("commits") or ()
    return list(found)


def every_render_is_one(ledger):
    """I2: a request was answered once, or alike."""
    answers = defaultdict(set)
    for event in ledger:
        if event.type == "revision.rendered":
            answers[event.source, event.data["number"]].add(event.key)
    twice = {place: keys for place, keys in answers.items() if len(keys) > 1}
    assert not twice, f"I2: answered in two ways: {twice}"


def generations_rise(ledger):
    """I5: what was released to a target has ever higher counters."""
    seen = {}
    for event in ledger:
        for release in event.data.get("releases") or () if event.type in {"target.released", "target.removed"} else ():
            place, pair = (release["cluster"], release["app"]), (release["epoch"], release["generation"])
            assert pair > seen.get(place, (0, 0)), f"I5: {place} was released {pair} after {seen[place]}"
            seen[place] = pair
    assert seen, "nothing was released"
    return seen


async def renders_of_the_bus(line, source) -> list[Rendered]:
    """Return what the bus holds of a source's renders, oldest first."""
    async with line.bus() as bus:
        state = (await bus.api(f"STREAM.INFO.{subjects.RENDERED}", {}))["state"]
        found = [
            await bus.stored_at_sequence(subjects.RENDERED, number)
            for number in range(state["first_seq"], state["last_seq"] + 1)
        ]
    renders = [Rendered.from_bytes(each.data) for each in found if each is not None]
    return [render for render in renders if render.source == source]


def targets_have_one_record(renders):
    """I2: every target of a number has one record, however often the number was answered."""
    records = defaultdict(set)
    for render in renders:
        for target in render.listing.targets if render.listing else ():
            records[render.number, target.cluster, target.app].add(target.bundle)
    twice = {place: found for place, found in records.items() if len(found) > 1}
    assert not twice, f"I2: {twice}"


def deletes(cluster) -> list[str]:
    """Return the paths of everything that was deleted in a cluster, our own notes aside."""
    return [
        each.path
        for each in cluster.requests
        if each.method == "DELETE" and (place := place_of(each.path)) and place.namespace != OWN_NAMESPACE
    ]


def writes(cluster) -> list[str]:
    """Return method and path of everything that changed objects in a cluster, our own notes aside."""
    return [
        f"{each.method} {each.path}"
        for each in cluster.requests
        if each.method in {"POST", "PUT", "PATCH", "DELETE"}
        and (place := place_of(each.path)) is not None
        and place.namespace != OWN_NAMESPACE
        and place.group not in {"authorization.k8s.io", "authentication.k8s.io"}
    ]


def deletes_are_ours(cluster, expected):
    """I6: each delete names one UID of what we had applied and git had dropped (`expected`: plural and name)."""
    applied = set()
    for each in cluster.requests:
        place = place_of(each.path)
        if place is None or place.namespace == OWN_NAMESPACE:
            continue
        # Whatever the version: an object is applied in one and deleted in another.
        which = (place.group, place.plural, place.namespace, place.name)
        if each.method == "PATCH":
            applied.add(which)
        elif each.method == "DELETE":
            assert which in applied, f"I6: {each.path} was never ours"
            assert which[1::2] in expected, f"I6: {each.path} was deleted, git dropped {sorted(expected)} only"
            assert (each.deletion.get("preconditions") or {}).get("uid"), f"I6: {each.path} was deleted whoever it is"


async def rendered_offline(repository, rev="main") -> dict[str, dict]:
    """Return what a commit means, by the command that needs no hub: key → object."""
    arguments = ("render", str(repository), "--rev", rev, "--cluster", "local", "-o", "json")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments), stdout=asyncio.subprocess.PIPE, cwd=PROJECT
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    return {str(key_of(each)): each for target in json.loads(out)["targets"] for each in target["objects"]}


def differences(live, wanted, path="") -> list[str]:
    """Return where an object of a cluster does not say what was wanted; defaults are no difference."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return [found for name in wanted for found in differences(live.get(name), wanted[name], f"{path}.{name}")]
    if isinstance(wanted, list) and isinstance(live, list) and len(live) == len(wanted):
        pairs = enumerate(zip(live, wanted, strict=True))
        return [found for place, (one, other) in pairs for found in differences(one, other, f"{path}[{place}]")]
    alike = live == wanted or (wanted is not None and quantity(live) is not None and quantity(live) == quantity(wanted))
    return [] if alike else [f"{path}: {live!r}, not {wanted!r}"]


async def clusters_hold(line: Line, repository, rev="main"):
    """I10: what every cluster runs of ours is what git says, no more and no less."""
    wanted = await rendered_offline(repository, rev)
    for cluster in line.clusters:
        live = line.owned(cluster.name)
        assert live.keys() == wanted.keys(), f"I10: {cluster.name} holds {sorted(live)}, git says {sorted(wanted)}"
        wrong = {key: found for key in wanted if (found := differences(live[key], wanted[key]))}
        assert not wrong, f"I10: {cluster.name} differs in {wrong}"
