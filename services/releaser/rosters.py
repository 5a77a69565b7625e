"""Build what is signed: a target's release, a cluster's roster, its desired document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.releaser.deletes import Expected
from shared.core.canonical import digest, encode
from shared.core.seal import compress
from shared.messages.blobs import BlobRef, BundleRef
from shared.messages.releases import Desired, Release, ReleaseState, Rollback, RolloutPlace, Roster
from shared.messages.renders import Provenance

CONTENT_DIGITS = 32
Suspension = Mapping[str, str]
"""`reason`, `by`, `until`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a target's content came from."""

    provenance: tuple[Provenance, ...] = ()
    tools: Mapping[str, str] | None = None
    source: str = ""
    number: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None) -> Origin:
        """Return an origin as the database keeps it."""
        found = kept or {}
        return cls(
            tuple(Provenance.model_validate(each) for each in found.get("provenance", ())),
            found.get("tools") or {},
            str(found.get("source", "")),
            int(found.get("number", 0)),
        )


@dataclass(frozen=True, slots=True)
class Content:
    """What a target runs: the bundle, where it is, and how it is applied."""

    bundle: BundleRef
    options: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Return what differs exactly when the target must be released again."""
        return content_id(self.bundle.digest, self.bundle.blob.digest, self.options)


def content_id(bundle: str, blob: str, options: Mapping[str, Any]) -> str:
    """Return the id of a content: equal ones need no new release."""
    return digest(encode([bundle, blob, dict(options)]))[:CONTENT_DIGITS]


def release_of(
    app: str,
    counters: tuple[int, int],
    content: Content | None,
    expected: Expected,
    *,
    origin: Origin,
    last: BundleRef | None = None,
    previous: str = "",
    options: Mapping[str, Any] | None = None,
    rollout: RolloutPlace | None = None,
    suspend: Suspension | None = None,
    approval: str = "",
    rollback: Rollback | None = None,
) -> Release:
    """Return the release of one target; without content it is a tombstone of `last`, applied with `options`."""
    return Release(
        app=app,
        epoch=counters[0],
        generation=counters[1],
        state=ReleaseState.PRESENT if content else ReleaseState.REMOVED,
        bundle=content.bundle.model_copy(update={"keys": None}) if content else None,
        last=last.model_copy(update={"keys": None}) if last and not content else None,
        previous=previous,
        provenance=origin.provenance,
        tools=dict(origin.tools or {}),
        deletes=expected.keys,
        deletes_known=expected.known,
        options=dict(content.options if content else options or {}),
        rollout=rollout,
        suspend=dict(suspend) if suspend else None,
        approval=approval,
        rollback=rollback,
    )


def roster_bytes(cluster: str, releases: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the compressed roster of releases that are dumped already."""
    empty = Roster(cluster=cluster).model_dump(mode="json", by_alias=True)
    return compress(encode({**empty, "releases": dict(releases)}))


def desired_of(
    hub: str, cluster: str, counters: tuple[int, int], roster: bytes, *, created: datetime, key: str, previous: int
) -> Desired:
    """Return the document of a cluster that names this roster."""
    return Desired(
        hub=hub,
        cluster=cluster,
        epoch=counters[0],
        generation=counters[1],
        previous=previous,
        roster=BlobRef(digest=digest(roster), bytes=len(roster)),
        created=created,
        key=key,
    )


def suspension(
    cluster: str, app: str, asked: Mapping[tuple[str, str], Suspension], options: Mapping[str, Any], now: str
) -> Suspension | None:
    """Return what suspends a target now: people's word on it, on its app, or what git says.

    A suspension of the whole cluster stands in its desired document. `now` is RFC 3339, as `until` is.
    """
    written = options.get("suspend")
    git = {name: str(written.get(name) or "") for name in ("reason", "until")} if isinstance(written, Mapping) else None
    for found in (asked.get((cluster, app)), asked.get(("", app)), {**git, "by": "git"} if git else None):
        if found and not over(found, now):
            return found
    return None


def over(found: Suspension, now: str) -> bool:
    """Tell whether a suspension has ended by itself."""
    return bool(found.get("until")) and found["until"] <= now


def ends(suspensions: Iterable[Suspension | None]) -> str:
    """Return when the first of these ends by itself, or an empty string."""
    return min((each["until"] for each in suspensions if each and each.get("until")), default="")
