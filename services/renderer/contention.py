"""Warn of objects that two apps of a cluster both bring, before an agent refuses them to one of the two.

What bundles hold is read from their lists of keys, each once; clusters that run the same bundles are looked at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from services.renderer.bundles import Outcome
from services.renderer.cache import RenderCache
from services.renderer.known import Known
from services.renderer.overlaps import Overlap, overlap_finding, overlaps
from services.renderer.targets import Plan
from shared.core.seal import SealError, decompressed
from shared.errors import Finding
from shared.fleet.model import App
from shared.messages.blobs import BundleRef

KEPT = 20_000
"""Of bundles, and of what clusters run together."""
MAX_BYTES = 64 << 20


class Contention:
    """Remembers what bundles hold, and what they have in common. Its method blocks."""

    def __init__(self, cache: RenderCache) -> None:
        self._cache = cache
        self._keys: Known[str, tuple[str, ...]] = Known(KEPT)
        self._overlaps: Known[tuple[tuple[str, str, str], ...], list[Overlap]] = Known(KEPT)

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
        held = ((name, (apps[name].namespace, self._keys_of(bundles[name]))) for name in bundles)
        return self._overlaps.of(together, lambda: overlaps(dict(held)))

    def _keys_of(self, bundle: BundleRef) -> tuple[str, ...]:
        """Return the keys of a bundle's objects; none where the list was lost, which costs a warning."""
        try:
            return self._keys.of(bundle.digest, lambda: self._read(bundle))
        except SealError:
            return ()

    def _read(self, bundle: BundleRef) -> tuple[str, ...]:
        content = self._cache.blob(bundle.keys) if bundle.keys else None
        return tuple(b"".join(decompressed(content or b"", MAX_BYTES)).decode().splitlines())
