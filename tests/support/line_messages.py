"""Messages as the programs of the line send them, for tests of the auditor."""

from datetime import UTC, datetime, timedelta

from shared.core.status import Health, Result, Sync
from shared.messages.blobs import BlobRef
from shared.messages.facts import Fact
from shared.messages.releases import Cluster, Membership
from shared.messages.renders import BundleRef, Problem, Provenance, Rendered, RenderListing, TargetRender
from shared.messages.reports import AppStatus, Counts, Report, Status
from shared.messages.sources import Commit, History, Revision

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REPOSITORY = "https://git.example.org/fleet.git"


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def commit_id(number: int) -> str:
    return f"{number:02x}" * 20


def bundle_id(name: str) -> str:
    return (name.encode().hex() * 64)[:64]


def revision(number, *, source="fleet", subject="Change it", ref="refs/heads/main", superseded=()):
    return Revision(
        source=source,
        number=number,
        repository=REPOSITORY,
        ref=ref,
        commit=Commit(id=commit_id(number), tree="7" * 40, subject=subject, author="Ada", committed_at=at(number)),
        history=History.FORWARD,
        superseded=tuple(commit_id(each) for each in superseded),
        observed_at=at(number),
    )


def rendered(number, targets, *, source="fleet", complete=True, problems=()):
    """`targets`: (cluster, app) -> bundle name, or a Problem when it failed."""
    bundles = {bundle_id(each) for each in targets.values() if isinstance(each, str)}
    blob = BlobRef(digest="b" * 64, bytes=10)
    listing = RenderListing(
        bundles={each: BundleRef(digest=each, size=1, objects=1, blob=blob) for each in bundles},
        targets=tuple(
            TargetRender(cluster=cluster, app=app, bundle=bundle_id(found), provenance=(0,))
            if isinstance(found, str)
            else TargetRender(cluster=cluster, app=app, problems=(found,), provenance=(0,))
            for (cluster, app), found in targets.items()
        ),
        problems=tuple(problems),
    )
    return Rendered(
        source=source,
        number=number,
        commit=commit_id(number),
        ref="refs/heads/main",
        tree="7" * 40,
        complete=complete,
        provenance=(Provenance(source=source, repository=REPOSITORY, ref="refs/heads/main", commit=commit_id(number)),),
        listing=listing,
        started_at=at(number + 0.1),
        finished_at=at(number + 0.3),
    )


def problem(message="mapping values are not allowed", file="apps/web/app.yaml", line=3):
    return Problem(code="yaml.syntax", message=message, file=file, line=line, column=7)


def released(number, targets, *, generation=None, state="present", source="fleet", **more):
    """`targets`: (cluster, app) -> bundle name."""
    return fact(
        "released",
        number + 0.4,
        source=source,
        commit=commit_id(number),
        data={
            "number": number,
            "releases": [
                {
                    "cluster": cluster,
                    "app": app,
                    "epoch": 1,
                    "generation": generation or number,
                    "bundle": bundle_id(name) if name else "",
                    "state": state,
                    "source": source,
                    "number": number,
                    "provenance": [{"source": source, "ref": "refs/heads/main", "commit": commit_id(number)}],
                    **more,
                }
                for (cluster, app), name in targets.items()
            ],
        },
    )


def fact(kind, second, *, program="releaser", **fields):
    place = "/".join(str(fields.get(name, "")) for name in ("source", "cluster", "app", "commit", "command"))
    return Fact(id=f"{kind}-{second}-{place}", program=program, type=kind, at=at(second), **fields)


def cluster(name, *, membership=Membership.JOINED, second=0, labels=None, pending=None):
    return Cluster(
        cluster=name,
        membership=membership,
        labels=labels or {"env": "dev"},
        pending_claims=pending or {},
        updated_at=at(second),
    )


def report(name, app, generation, *, bundle="a", second=None, **fields):
    moment = at(generation + 0.6 if second is None else second)
    fields = {"result": Result.SUCCEEDED, "sync": Sync.SYNCED, "health": Health.CURRENT, **fields}
    return Report(
        id=f"{name}-{app}-{generation}-{moment.timestamp()}",
        session="s1",
        counter=generation,
        cluster=name,
        app=app,
        epoch=1,
        generation=generation,
        bundle=bundle_id(bundle),
        commits=(commit_id(generation),),
        counts=Counts(objects=3, created=1),
        started_at=moment - timedelta(milliseconds=100),
        finished_at=moment,
        **fields,
    )


def status(name, apps, *, second, **fields):
    """`apps`: app -> (generation, sync, health)."""
    return Status(
        cluster=name,
        session="s1",
        counter=1,
        agent="0.1.0",
        epoch=1,
        generation=1,
        apps={
            app: AppStatus(epoch=1, generation=generation, sync=sync, health=health)
            for app, (generation, sync, health) in apps.items()
        },
        at=at(second),
        **fields,
    )
