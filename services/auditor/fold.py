"""Fold messages into events of the ledger and changes of the read model.

Each function takes one message and says what it means; nothing is looked up, so the same message means the same
whenever and however often it arrives. `at` is the time at which the bus stored the message: one clock for all agents.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.auditor.changes import (
    AgentSaid,
    Change,
    ClusterRegistered,
    CommitRendered,
    CommitSeen,
    DeadLetter,
    Folded,
    ReleaseReported,
    RenderFinished,
    RevisionObserved,
    TargetApplied,
    TargetRendered,
    TargetReported,
    TargetSeen,
)
from services.auditor.following import SourceAt
from services.auditor.ledger import Event
from shared.core.canonical import digest, encode
from shared.core.status import Result
from shared.core.times import time_text
from shared.messages.releases import Cluster
from shared.messages.renders import Problem, Provenance, Rendered, RenderListing, TargetRender
from shared.messages.reports import Answer, Report, Status
from shared.messages.sources import History, Revision

PROBLEMS_KEPT = 100
_NOUNS = {"drift": "drift", "health": "health"}
_SEVERITIES = {Result.FAILED: "error", Result.REFUSED: "error", Result.PARTIAL: "warning", Result.HELD: "warning"}


def of_revision(revision: Revision) -> Folded:
    """Return what an observed tip means."""
    rewritten = revision.history is History.REWRITTEN
    event = Event(
        key=f"revision/{revision.source}/{revision.number}/{revision.ref}",
        type="revision.observed",
        time=revision.observed_at,
        source=revision.source,
        commit=revision.commit.id,
        severity="warning" if rewritten else "info",
        message=f"history of {revision.ref} was rewritten" if rewritten else revision.commit.subject,
        data=revision.model_dump(
            mode="json", include={"number", "repository", "ref", "commit", "previous", "history", "hinted_by"}
        ),
    )
    row = RevisionObserved(
        source=revision.source,
        number=revision.number,
        repository=revision.repository,
        ref=revision.ref,
        commit=revision.commit.id,
        subject=revision.commit.subject,
        author=revision.commit.author,
        history=revision.history,
        committed_at=time_text(revision.commit.committed_at),
        observed_at=time_text(revision.observed_at),
    )
    seen = (CommitSeen(revision.source, commit, revision.number) for commit in _tip_first(revision))
    place = SourceAt(
        revision.source,
        revision.repository,
        revision.asked_ref,
        ref=revision.ref,
        commit=revision.commit.id,
        history=revision.history,
        observed_at=time_text(revision.observed_at),
    )
    return Folded((event,), (row, place, *seen))


def _tip_first(revision: Revision) -> Iterable[str]:
    return dict.fromkeys((revision.commit.id, *revision.superseded))


def of_rendered(rendered: Rendered, listing: RenderListing) -> Folded:
    """Return what a finished render means.

    Its key holds the digest of what was rendered: a request that is answered twice is one event, a second answer with
    other content is another.
    """
    content = rendered.model_dump(mode="json", include={"complete", "provenance"})
    fingerprint = digest(encode([content, listing.model_dump(mode="json")]))[:16]
    key = f"render/{rendered.source}/{rendered.number}/{fingerprint}"
    problems = [_problem(problem) for problem in listing.problems[:PROBLEMS_KEPT]]
    failed = [target for target in listing.targets if not target.bundle]
    event = Event(
        key=key,
        type="revision.rendered",
        time=rendered.finished_at,
        source=rendered.source,
        commit=rendered.commit,
        severity="error" if failed or any(p["severity"] == "error" for p in problems) else "info",
        message=_first_message(problems),
        data={
            "number": rendered.number,
            "ref": rendered.ref,
            "complete": rendered.complete,
            "targets": len(listing.targets) - len(failed),
            "failed": len(failed),
            "bundles": len(listing.bundles),
            "problems": problems,
            "duration_s": round((rendered.finished_at - rendered.started_at).total_seconds(), 3),
        },
    )
    failures = (_render_failure(key, rendered, target) for target in failed)
    return Folded((event, *failures), tuple(_render_changes(rendered, listing)))


def _render_failure(key: str, rendered: Rendered, target: TargetRender) -> Event:
    problems = [_problem(problem) for problem in target.problems[:PROBLEMS_KEPT]]
    return Event(
        key=f"{key}/{target.cluster}/{target.app}",
        type="target.render-failed",
        time=rendered.finished_at,
        source=rendered.source,
        cluster=target.cluster,
        app=target.app,
        commit=rendered.commit,
        severity="error",
        message=_first_message(problems),
        data={"number": rendered.number, "problems": problems},
    )


def _render_changes(rendered: Rendered, listing: RenderListing) -> Iterable[Change]:
    at = time_text(rendered.finished_at)
    yield RenderFinished(
        source=rendered.source,
        number=rendered.number,
        ref=rendered.ref,
        commit=rendered.commit,
        complete=rendered.complete,
        targets_ok=sum(bool(target.bundle) for target in listing.targets),
        targets_failed=sum(not target.bundle for target in listing.targets),
        problems=[_problem(problem) for problem in listing.problems[:PROBLEMS_KEPT]],
        tools=dict(rendered.tools),
        started_at=time_text(rendered.started_at),
        finished_at=at,
    )
    commits = {(part.repository, part.commit) for part in rendered.provenance}
    for repository, commit in sorted(commits | {("", rendered.commit)}):
        yield CommitRendered(rendered.source, rendered.number, repository, commit)
    for target in listing.targets:
        yield TargetRendered(
            cluster=target.cluster,
            app=target.app,
            render_source=rendered.source,
            render_number=rendered.number,
            render_at=at,
            render_bundle=target.bundle,
            render_failed=not target.bundle,
            render_problems=[_problem(problem) for problem in target.problems[:PROBLEMS_KEPT]],
            repositories=_repositories(rendered.provenance, target.provenance),
        )


def _repositories(provenance: tuple[Provenance, ...], indexes: tuple[int, ...]) -> str:
    urls = {provenance[index].repository for index in indexes if 0 <= index < len(provenance)}
    return "".join(f"\n{url}\n" for url in sorted(urls))


def _problem(problem: Problem) -> dict[str, Any]:
    return problem.model_dump(mode="json")


def _first_message(problems: list[dict[str, Any]]) -> str:
    """Return the first problem as one line, its place in front."""
    if not problems:
        return ""
    first = problems[0]
    place = ":".join(str(part) for part in (first["file"], first["line"], first["column"]) if part)
    return f"{place}: {first['message']}" if first["file"] else str(first["message"])


def of_cluster(cluster: Cluster) -> Folded:
    """Return what the releaser's record of a cluster means; a record that is published again means nothing new."""
    event = Event(
        key=f"cluster/{cluster.cluster}/{time_text(cluster.updated_at)}",
        type="cluster.registered",
        time=cluster.updated_at,
        cluster=cluster.cluster,
        message=f"{cluster.cluster} is {cluster.membership}",
        data=cluster.model_dump(mode="json", include={"membership", "labels", "origins", "pending_claims", "in_git"}),
    )
    row = ClusterRegistered(
        cluster=cluster.cluster,
        membership=cluster.membership,
        labels=dict(cluster.labels),
        origins=dict(cluster.origins),
        pending_claims=dict(cluster.pending_claims),
        in_git=cluster.in_git,
        uid=cluster.uid,
        kubernetes=cluster.kubernetes,
        updated_at=time_text(cluster.updated_at),
    )
    return Folded((event,), (row,))


def of_report(report: Report, at: datetime) -> Folded:
    """Return what an agent's account of a run means."""
    noun = _NOUNS.get(report.trigger, "apply" if report.app else "desired")
    event = Event(
        key=f"report/{report.cluster}/{report.id}",
        type=f"{noun}.{report.result}",
        time=report.finished_at,
        cluster=report.cluster,
        app=report.app,
        commit=report.commits[0] if report.commits else "",
        severity=_SEVERITIES.get(report.result, "info"),
        message=report.message,
        data=report.model_dump(mode="json", exclude={"schema_version", "crit", "cluster", "app", "message"}),
    )
    return Folded((event,), tuple(_report_changes(report, time_text(at))) if report.app else ())


def _report_changes(report: Report, at: str) -> Iterable[Change]:
    place: dict[str, Any] = {"cluster": report.cluster, "app": report.app}
    yield TargetSeen(
        **place,
        seen_epoch=report.epoch,
        seen_generation=report.generation,
        seen_at=at,
        seen_bundle=report.bundle,
        sync=report.sync,
        health=report.health,
        reason=report.reason,
        message=report.message,
    )
    dumped = report.model_dump(mode="json", include={"counts", "failures", "hold", "drift", "warnings"})
    yield TargetReported(
        **place,
        report_epoch=report.epoch,
        report_generation=report.generation,
        report_at=at,
        trigger=report.trigger,
        result=report.result,
        attempt=report.attempt,
        settled=report.settled,
        **dumped,
    )
    yield ReleaseReported(
        **place, epoch=report.epoch, generation=report.generation, result=report.result, reported_at=at
    )
    if report.result is Result.SUCCEEDED:
        yield TargetApplied(**place, applied_epoch=report.epoch, applied_generation=report.generation, applied_at=at)


def of_answer(answer: Answer) -> Folded:
    """Return what an answer to an instruction means; its body may be large and stays out of the ledger."""
    event = Event(
        key=f"answer/{answer.cluster}/{answer.id}",
        type="instruction.answered",
        time=answer.at,
        cluster=answer.cluster,
        severity="info" if answer.ok else "warning",
        message=answer.message,
        data={"id": answer.id, "ok": answer.ok},
    )
    return Folded((event,))


def of_status(status: Status, at: datetime) -> Folded:
    """Return what an agent's present state means: no event, it is a value that is overwritten."""
    agent = AgentSaid(
        cluster=status.cluster,
        said_at=time_text(at),
        session=status.session,
        agent=status.agent,
        kubernetes=status.kubernetes,
        stale=status.stale,
        standby=status.standby,
        epoch=status.epoch,
        generation=status.generation,
        claims=dict(status.claims),
    )
    targets = (
        TargetSeen(
            cluster=status.cluster,
            app=name,
            seen_epoch=app.epoch,
            seen_generation=app.generation,
            seen_at=time_text(at),
            seen_bundle=app.bundle,
            sync=app.sync,
            health=app.health,
            reason=app.reason,
            message=app.message,
        )
        for name, app in status.apps.items()
    )
    return Folded((), (agent, *targets))


def of_dead(letter: DeadLetter, at: datetime) -> Folded:
    """Return what a message means that nobody will handle."""
    event = Event(
        key=letter.key,
        type="message.dropped",
        time=at,
        severity="error",
        message=f"{letter.consumer} gave up a message of {letter.stream}: {letter.reason}",
        data={
            "stream": letter.stream,
            "sequence": letter.sequence,
            "consumer": letter.consumer,
            "subject": letter.subject,
            "bytes": len(letter.content),
        },
    )
    return Folded((event,), (letter,))
