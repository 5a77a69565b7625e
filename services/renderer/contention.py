"""Warn of objects that two apps of a cluster both bring, before an agent refuses them to one of the two.

What bundles hold is read from their lists of keys, each once; clusters that run the same bundles are looked at once.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from typing import TypeVar

from services.renderer.bundles import Outcome
from services.renderer.cache import RenderCache
from services.renderer.overlaps import Overlap, overlap_finding, overlaps
from services.renderer.targets import Plan
from shared.core.seal import SealError, decompressed
from shared.errors import Finding
from shared.fleet.model import App
from shared.messages.blobs import BundleRef

KEPT = 20_000
"""Of bundles, and of what clusters run together."""
MAX_BYTES = 64 << 20
K = TypeVar("K")
V = TypeVar("V")


class Contention:
    """Remembers what bundles hold, and what they have in common. Its method blocks."""

    def __init__(self, cache: RenderCache) -> None:
        self._cache = cache
        self._keys: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._known: OrderedDict[tuple[tuple[str, str, str], ...], list[Overlap]] = OrderedDict()

    def of(self, plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[tuple[str, str], tuple[Finding, ...]]:
        """Return warnings by cluster and app; `outcomes` are by the inputs' keys."""
        apps = {app.name: app for app in plan.fleet.apps}
        clusters: defaultdict[str, dict[str, BundleRef]] = defaultdict(dict)
        for target in plan.targets:
            outcome = outcomes.get(target.inputs.key) if target.inputs else None
            if outcome is not None and outcome.bundle is not None:
                clusters[target.cluster][target.app] = outcome.bundle
        found: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
        for cluster, bundles in clusters.items():
            for each in self._shared(apps, bundles) if len(bundles) > 1 else ():
                found[cluster, each.second].append(overlap_finding(each, apps[each.second], cluster, "warning"))
        return {place: tuple(findings) for place, findings in found.items()}

    def _shared(self, apps: Mapping[str, App], bundles: Mapping[str, BundleRef]) -> list[Overlap]:
        together = tuple((name, apps[name].namespace, bundles[name].digest) for name in sorted(bundles))
        if together not in self._known:
            held = {name: (apps[name].namespace, self._keys_of(bundles[name])) for name in bundles}
            _keep(self._known, together, overlaps(held))
        return self._known[together]

    def _keys_of(self, bundle: BundleRef) -> tuple[str, ...]:
        """Return the keys of a bundle's objects; none where the list was lost, which costs a warning."""
        if bundle.digest not in self._keys:
            content = self._cache.blob(bundle.keys) if bundle.keys else None
            try:
                text = b"".join(decompressed(content or b"", MAX_BYTES)).decode()
            except SealError:
                return ()
            _keep(self._keys, bundle.digest, tuple(text.splitlines()))
        return self._keys[bundle.digest]


def _keep(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > KEPT:
        known.popitem(last=False)
