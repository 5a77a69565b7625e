"""Have the bundle of each target on the bus: from the cache, else from the engines.

Equal inputs are rendered once, equal outputs are stored once. What a poisonous input cost is remembered, so that it costs
that once and not at every commit (F25).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.renderer.cache import RenderCache
from services.renderer.engines import Bundle, Engines
from services.renderer.engines.child import SandboxError
from services.renderer.inputs import AppInputs
from shared import subjects
from shared.bus.blobs import blob_place, has_blob
from shared.bus.connection import Bus
from shared.bus.storing import store_blob
from shared.bus.together import each_of
from shared.core.canonical import digest
from shared.core.seal import compress, seal
from shared.errors import Finding, FindingsError
from shared.messages.blobs import BlobRef, BundleRef
from shared.runtime import metrics

FAILURES_KEPT = 10_000
# These may be this machine's fault; they count as the input's own after so many tries.
UNSURE = frozenset({"render.timeout", "render.memory", "render.crash"})
TRIES = 3
LOOK_EVERY = 50
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target's inputs: a bundle on the bus, or why there is none."""

    bundle: BundleRef | None
    findings: tuple[Finding, ...] = ()
    """Errors without a bundle, warnings with one."""


class Bundles:
    """The bundles that this renderer made.

    One source has at most `share` engines at a time: with more engines than that, one source full of poison does not hold
    up the others.
    """

    def __init__(self, engines: Engines, cache: RenderCache, bus: Bus, secret: bytes, *, share: int = 2) -> None:
        self._engines = engines
        self._cache = cache
        self._bus = bus
        self._secret = secret
        self._failures: OrderedDict[str, tuple[int, tuple[Finding, ...]]] = OrderedDict()
        self._present: dict[str, set[str]] = {}
        self._recent: dict[str, Mapping[str, Outcome]] = {}
        self._rounds: Counter[str] = Counter()
        self._running: dict[str, asyncio.Lock] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(share))

    def forget_presence(self) -> None:
        """Look anew at what is on the bus: it is another bus, or was emptied."""
        self._present.clear()
        self._recent.clear()

    async def put_back(self, lost: Iterable[BlobRef]) -> bool:
        """Have these sealed bundles on the bus as they were; False: one of them is no longer kept here."""
        whole = True
        for blob in lost:
            content = await asyncio.to_thread(self._cache.blob, blob)
            whole = whole and content is not None
            if content is not None:
                await store_blob(self._bus, blob_place(subjects.SHARED), content)
        return whole

    async def of(self, source: str, inputs: Iterable[AppInputs], *, present: bool = True) -> Mapping[str, Outcome]:
        """Return the outcome for each of `inputs` by its own key; `present`: they are all that the source uses now.

        Raises:
            TransientError: the bus or this machine, not an input, is why it did not work.
        """
        distinct = {each.key: each for each in inputs}
        keys = await asyncio.to_thread(lambda: {own: self._engines.key(each) for own, each in distinct.items()})
        outcomes = self._unchanged(source, keys)
        metrics.renders.labels("unchanged").inc(len(outcomes))

        async def one(own: str) -> None:
            outcomes[own] = await self._outcome(source, keys[own], distinct[own])
            if outcomes[own].bundle is None:
                metrics.renders.labels("failed").inc()

        await each_of(one, [own for own in distinct if own not in outcomes], at_once=_AT_ONCE)
        # Only what the source uses now is sure to be on the bus next time: the releaser clears away the rest.
        if present:
            self._present[source] = {each.bundle.digest for each in outcomes.values() if each.bundle}
            self._recent[source] = {keys[own]: each for own, each in outcomes.items() if each.bundle}
        return outcomes

    def _unchanged(self, source: str, keys: Mapping[str, str]) -> dict[str, Outcome]:
        """Return what the source had last time, by the inputs' own keys: known without a look at disk or bus.

        Now and then it is looked for on the disk all the same, where what is used stays longest.
        """
        self._rounds[source] += 1
        recent = self._recent.get(source, {}) if self._rounds[source] % LOOK_EVERY else {}
        return {own: recent[key] for own, key in keys.items() if key in recent}

    async def _outcome(self, source: str, key: str, inputs: AppInputs) -> Outcome:
        tries, known = self._failures.get(key, (0, ()))
        if known and (tries >= TRIES or not _is_unsure(known)):
            return Outcome(None, known)
        try:
            async with self._running.setdefault(key, asyncio.Lock()):
                bundle, warnings = await self._bundle(source, key, inputs)
        except SandboxError as error:
            finding = Finding(error.code, error.message, inputs.path, hint=error.hint, app=inputs.app)
            return Outcome(None, (finding,))
        except FindingsError as error:
            findings = tuple(error.findings)
            self._remember(key, tries + 1, findings)
            return Outcome(None, findings)
        finally:
            self._running.pop(key, None)
        return Outcome(bundle, warnings)

    async def _bundle(self, source: str, key: str, inputs: AppInputs) -> tuple[BundleRef, tuple[Finding, ...]]:
        """Return a bundle whose bytes are on the bus."""
        found = await asyncio.to_thread(self._cache.get, key)
        if found is not None and await self._is_there(source, found[0]):
            metrics.renders.labels("unchanged").inc()
            return found
        async with self._turns[source]:
            with metrics.render_seconds.labels(inputs.engine).time():
                bundle = await self._engines.bundle(inputs)
        reference, blobs = await asyncio.to_thread(self._kept, key, bundle)
        await self._store(reference, blobs)
        metrics.renders.labels("rendered").inc()
        return reference, bundle.warnings

    async def _is_there(self, source: str, bundle: BundleRef) -> bool:
        """Tell whether the bundle is on the bus; if it is not, it goes there from the disk, if it is there."""
        if bundle.digest in self._present.get(source, ()):
            return True
        for audience, blob in _blobs(bundle):
            if await has_blob(self._bus, blob_place(audience), blob):
                continue
            content = await asyncio.to_thread(self._cache.blob, blob)
            if content is None:
                return False
            await store_blob(self._bus, blob_place(audience), content)
        return True

    async def _store(self, bundle: BundleRef, blobs: Mapping[str, bytes]) -> None:
        for audience, blob in _blobs(bundle):
            await store_blob(self._bus, blob_place(audience), blobs[blob.digest])

    def _kept(self, key: str, bundle: Bundle) -> tuple[BundleRef, dict[str, bytes]]:
        """Seal a bundle and keep it on the disk; return what is to be stored on the bus."""
        reference, blobs = self._sealed(bundle)
        self._cache.put(key, reference, blobs, bundle.warnings)
        return reference, blobs

    def _sealed(self, bundle: Bundle) -> tuple[BundleRef, dict[str, bytes]]:
        """Return the reference to a bundle, and the bytes to store by their digest."""
        sealed = seal(bundle.data, self._secret)
        keys = compress("\n".join(bundle.keys).encode())
        blob = BlobRef(digest=digest(sealed.data), bytes=len(sealed.data), key=sealed.key.hex())
        listed = BlobRef(digest=digest(keys), bytes=len(keys))
        reference = BundleRef(
            digest=bundle.digest, size=len(bundle.data), objects=len(bundle.keys), blob=blob, keys=listed
        )
        return reference, {blob.digest: sealed.data, listed.digest: keys}

    def _remember(self, key: str, tries: int, findings: tuple[Finding, ...]) -> None:
        self._failures[key] = (tries, findings)
        self._failures.move_to_end(key)
        while len(self._failures) > FAILURES_KEPT:
            self._failures.popitem(last=False)


def _blobs(bundle: BundleRef) -> list[tuple[str, BlobRef]]:
    """Return the blobs of a bundle with the audience of each."""
    return [(subjects.SHARED, bundle.blob), *([(subjects.HUB, bundle.keys)] if bundle.keys else [])]


def _is_unsure(findings: Iterable[Finding]) -> bool:
    return any(finding.code in UNSURE for finding in findings)
