"""What the archives of charts change in the state of a source: which are wanted, which came, why one did not."""

from __future__ import annotations

from datetime import datetime

from services.poller.observation import fact_id, requested
from services.poller.state import Failing, FollowedChart, Outgoing, SourceState
from shared.errors import TowlineError
from shared.messages.blobs import BlobRef
from shared.messages.facts import Fact
from shared.messages.sources import Needs


def with_charts(state: SourceState, needs: Needs) -> SourceState:
    """Return the state that has the charts which a fleet needs, and only them; what the bus lost is stored again."""
    if needs.number < state.needs_number:
        return state
    known = {each.digest: each for each in state.charts}
    wanted = [known.get(each.digest) or FollowedChart(url=each.url, digest=each.digest) for each in needs.charts]
    return state.model_copy(update={"charts": tuple(_found_again(each, needs) for each in wanted)})


def lacking(state: SourceState) -> list[FollowedChart]:
    """Return the charts that are not on the bus."""
    return [each for each in state.charts if each.blob is None]


def brought(state: SourceState, source: str, digest: str, blob: BlobRef, now: datetime) -> SourceState:
    """Return the state after an archive was stored on the bus: with a request, since apps wait for it."""
    before = _find(state, digest)
    if before is None:
        return state
    outbox = state.outbox
    if before.failing is not None:
        outbox = (*outbox, Outgoing(fact=_fact("source-recovered", source, before, before.failing, now)))
    state = _with(state, before.model_copy(update={"blob": blob, "failing": None}))
    return requested(state.model_copy(update={"outbox": outbox}), "needs", now)


def missed(state: SourceState, source: str, digest: str, error: TowlineError, now: datetime) -> SourceState:
    """Return the state after an archive could not be had; each reason is told once, and its apps hear of it."""
    before = _find(state, digest)
    if before is None or (before.failing is not None and before.failing.code == error.code):
        return state
    since = before.failing.since if before.failing else now
    failing = Failing(code=error.code, message=error.message, hint=error.hint, since=since)
    outbox = (*state.outbox, Outgoing(fact=_fact("source-failed", source, before, failing, now)))
    state = _with(state, before.model_copy(update={"failing": failing}))
    return requested(state.model_copy(update={"outbox": outbox}), "needs", now)


def _found_again(chart: FollowedChart, needs: Needs) -> FollowedChart:
    is_lost = chart.blob is not None and chart.blob.digest in needs.lost_packs
    return chart.model_copy(update={"blob": None}) if is_lost else chart


def _find(state: SourceState, digest: str) -> FollowedChart | None:
    return next((each for each in state.charts if each.digest == digest), None)


def _with(state: SourceState, chart: FollowedChart) -> SourceState:
    charts = tuple(chart if each.digest == chart.digest else each for each in state.charts)
    return state.model_copy(update={"charts": charts})


def _fact(kind: str, source: str, chart: FollowedChart, failing: Failing, now: datetime) -> Fact:
    failed = kind == "source-failed"
    data = failing.model_dump(mode="json") if failed else {"code": failing.code, "since": failing.since.isoformat()}
    return Fact(
        id=fact_id(kind, source, chart.url, chart.digest, failing.code, now.isoformat()),
        program="poller",
        type=kind,
        source=source,
        message=f"{chart.url}: {failing.message}" if failed else f"{chart.url} could be had",
        severity="error" if failed else "info",
        data=data | {"repository": chart.url, "ref": chart.digest},
        at=now,
    )
