"""Have content made again that the bus lost: by the present commits, and what these do not bring by those it was made of.

A cluster may run what an older commit brought: it was taken back, its rollout is paused, or its app cannot be rendered now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.releaser.store import Store, Transaction
from shared.core.canonical import decode
from shared.core.seal import decompressed
from shared.messages.blobs import BlobRef
from shared.messages.renders import Provenance
from shared.messages.sources import Lost

AGAIN_S = 30.0
PATIENCE_S = 120.0
"""So long a document waits for what it names. Then it goes out: its agent may have what is lost, and other apps go on."""
AT_ONCE = 50
"""Commits that are rendered again in one go."""
ROSTER_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Named:
    """A bundle that a roster names."""

    app: str
    blob: BlobRef
    """Without its key."""
    provenance: tuple[Provenance, ...]

    @classmethod
    def of(cls, release: Mapping[str, Any], blob: BlobRef) -> Named:
        """Return what a release of a roster names."""
        provenance = tuple(Provenance.model_validate(each) for each in release.get("provenance", ()))
        return cls(str(release["app"]), blob.model_copy(update={"key": ""}), provenance)

    @property
    def source(self) -> str:
        """Return the source whose fleet has the app."""
        return self.provenance[0].source if self.provenance else ""


@dataclass(slots=True)
class Missing:
    """What documents name and the bus lacks."""

    store: Store
    clock: Callable[[], float]
    """Seconds, never going back."""
    _found: dict[str, set[Named]] = field(default_factory=lambda: defaultdict(set))
    _since: dict[str, float] = field(default_factory=dict)
    """Cluster → since when its document waits."""
    _asked_at: dict[str, float] = field(default_factory=dict)
    _restored_at: dict[str, float] = field(default_factory=dict)
    _rendered: set[str] = field(default_factory=set)
    """Sources whose present commits were rendered since this bus was filled."""

    def start_anew(self) -> None:
        """Take note that it is another bus."""
        self._since.clear()
        self._restored_at.clear()
        self._rendered.clear()

    def rendered(self, source: str) -> None:
        """Take note that the present commits of a source were rendered."""
        self._rendered.add(source)

    def is_late(self, cluster: str, found: Iterable[Named]) -> bool:
        """Note what the document of a cluster lacks, and tell whether it waited long enough for it."""
        for each in found:
            self._found[each.source].add(each)
        now = self.clock()
        if now - self._since.setdefault(cluster, now) < PATIENCE_S:
            return False
        del self._since[cluster]
        return True

    def whole(self, cluster: str) -> None:
        """Take note that the document of a cluster lacks nothing."""
        self._since.pop(cluster, None)

    async def ask(self) -> None:
        """Ask the poller for what was missed, each source now and then."""
        found, self._found = self._found, defaultdict(set)
        now = self.clock()
        late = {name for name in found if now - self._asked_at.get(name, -AGAIN_S) >= AGAIN_S}
        older = {name for name in found.keys() & self._rendered if name}
        older = {name for name in older if now - self._restored_at.get(name, -AGAIN_S) >= AGAIN_S}
        self._asked_at.update(dict.fromkeys(late, now))
        self._restored_at.update(dict.fromkeys(older, now))
        if late or older:
            async with self.store.deciding() as tx:
                for name in sorted(late):
                    tx.ask_poller("render", {"source": name} if name else {}, "blobs")
                for name in sorted(older):
                    _ask_for(tx, name, found[name])


def _ask_for(tx: Transaction, source: str, found: Iterable[Named]) -> None:
    by_origin: dict[tuple[Provenance, ...], list[Named]] = defaultdict(list)
    for each in found:
        by_origin[each.provenance].append(each)
    lost = [
        Lost(
            apps=tuple(sorted({each.app for each in some})),
            blobs=tuple({each.blob.digest: each.blob for each in some}.values()),
            provenance=origin,
        )
        for origin, some in list(by_origin.items())[:AT_ONCE]
    ]
    arguments = {"source": source, "lost": [each.model_dump(mode="json") for each in lost]}
    tx.ask_poller("restore", arguments, "blobs")


def blobs_of(roster: bytes) -> Iterator[tuple[Mapping[str, Any], BlobRef]]:
    """Yield the releases of a roster that name a bundle, each with the blob of its bundle."""
    content = decode(b"".join(decompressed(roster, ROSTER_LIMIT_BYTES)))
    for release in content["releases"].values():
        if release["bundle"]:
            yield release, BlobRef.model_validate(release["bundle"]["blob"])
