"""Put objects behind what they depend on, inside their waves and stages (rules C4, C5).

What is depended on is pulled forward, never the dependent held back: who wrote a wave meant it. An object also depends
on its namespace and on the definition of its kind where the bundle brings them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from services.applier.crds import defined_by
from services.applier.order import place_of
from services.applier.state import Wanted
from shared.core.objects import ObjectKey

Objects = Mapping[ObjectKey, Wanted]
Edges = Mapping[ObjectKey, frozenset[ObjectKey]]


@dataclass(slots=True)
class Arrangement:
    """A bundle in its order."""

    wanted: dict[ObjectKey, Wanted] = field(default_factory=dict)
    """The objects whose place is another than that of their kind and wave."""
    warnings: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)


def arranged(wanted: Objects) -> Arrangement:
    """Return how the objects of a bundle have to stand for their dependencies to come first."""
    found = Arrangement()
    asked = _asked(wanted, found)
    edges = _with_implied(wanted, asked)
    if not edges:
        return found
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        cycle = " → ".join(str(key) for key in error.args[1])
        found.refusals.append(("object.cycle", f"these objects depend on each other: {cycle}"))
        return found
    _check_waves(wanted, asked, found)
    places = _pulled(wanted, edges, order)
    levels = _levels(places, edges, order)
    for key in order:
        wave, rank = places[key]
        moved = replace(wanted[key], wave=wave, needs=tuple(sorted(asked.get(key, ()))), level=levels[key])
        if (wave, rank) != place_of(wanted[key])[:2]:
            moved = replace(moved, rank=rank)
        if moved != wanted[key]:
            found.wanted[key] = moved
    return found


def _asked(wanted: Objects, found: Arrangement) -> dict[ObjectKey, frozenset[ObjectKey]]:
    """Return the dependencies that objects name, as far as the bundle has them."""
    members = defaultdict(set)
    for key, each in wanted.items():
        for group in each.policy.groups:
            members[group].add(key)
    asked: dict[ObjectKey, frozenset[ObjectKey]] = {}
    for key, each in wanted.items():
        absent = [str(other) for other in each.policy.depends_on if other not in wanted]
        if absent:
            found.warnings.append(f"{key} depends on {absent[0]}, which is not in the bundle: it waits for nothing")
        named = {other for other in each.policy.depends_on if other in wanted}
        named.update(*(members[group] for group in each.policy.after))
        if named - {key}:
            asked[key] = frozenset(named - {key})
    return asked


def _with_implied(wanted: Objects, asked: Edges) -> dict[ObjectKey, set[ObjectKey]]:
    """Return all edges: those that objects name, and those to namespaces and definitions.

    Kinds have their order anyway: without any other edge only a namespace or definition of a later wave is of interest.
    """
    edges: dict[ObjectKey, set[ObjectKey]] = {key: set(others) for key, others in asked.items()}
    for key, other in _implied(wanted):
        if asked or wanted[other].wave > wanted[key].wave:
            edges.setdefault(key, set()).add(other)
    return edges


def _implied(wanted: Objects) -> Iterator[tuple[ObjectKey, ObjectKey]]:
    namespaces = {key.name: key for key in wanted if (key.group, key.kind) == ("", "Namespace")}
    definitions = defined_by(wanted.values())
    for key in wanted if namespaces or definitions else ():
        if namespace := namespaces.get(key.namespace):
            yield key, namespace
        if definition := definitions.get((key.group, key.kind)):
            yield key, definition


def _check_waves(wanted: Objects, asked: Edges, found: Arrangement) -> None:
    """Refuse waves that say the opposite of a dependency: one of both is a mistake."""
    for key, others in sorted(asked.items()):
        for other in sorted(others):
            wave = wanted[other].policy.wave
            if wave is not None and wave > wanted[key].wave:
                text = f"{key} is in wave {wanted[key].wave} and depends on {other}, which is in wave {wave}"
                found.refusals.append(("object.dependency", text))


def _pulled(
    wanted: Objects, edges: Mapping[ObjectKey, set[ObjectKey]], order: list[ObjectKey]
) -> dict[ObjectKey, tuple[int, int]]:
    """Return wave and stage of each object: none stands behind what depends on it."""
    places = {key: place_of(wanted[key])[:2] for key in order}
    for key in reversed(order):
        for other in edges.get(key, ()):
            if places[other] > places[key]:
                places[other] = places[key][0], min(places[other][1], places[key][1])
    return places


def _levels(
    places: Mapping[ObjectKey, tuple[int, int]], edges: Mapping[ObjectKey, set[ObjectKey]], order: list[ObjectKey]
) -> dict[ObjectKey, int]:
    """Return the place inside a stage: one behind the last of what an object depends on there."""
    levels: dict[ObjectKey, int] = {}
    for key in order:
        behind = (levels[other] + 1 for other in edges.get(key, ()) if places[other] == places[key])
        levels[key] = max(behind, default=0)
    return levels
