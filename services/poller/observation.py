"""What an observation changes: the number, the messages to publish, the request to render.

Failures change the status and nothing else: a deleted branch, a repository that is gone or a refused credential never
makes anything smaller, because the tip seen last stays what clusters run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from services.poller.chains import Chain
from services.poller.refs import Chosen
from services.poller.state import Failing, Followed, FollowedChart, Outgoing, SourceState
from shared.errors import TowlineError
from shared.git.remote import TAGS
from shared.messages.facts import Fact
from shared.messages.sources import (
    ChartArchive,
    Checkout,
    Commit,
    History,
    Needs,
    RenderRequest,
    Revision,
    SourceFailure,
    Verify,
)

SUPERSEDED = 1000
OUTBOX = 200
"""More than that waits only while the bus is away; then tips that nobody saw become superseded ones."""

STALE = "source.stale-replica"
STALE_FOR = timedelta(minutes=10)

TOLD_ANEW = frozenset({"source.unverified"})
"""Codes of which each new reason is told: it names another commit."""

UNPACKABLE = frozenset({"source.too-large", "source.bad-object"})
"""Codes of trees that cannot be handed over, however often one tries."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A new tip: what the ref means, and how it relates to the tip before."""

    key: Key
    chosen: Chosen
    commit: Commit
    history: History
    superseded: tuple[str, ...]


def configured(
    state: SourceState | None, repository: str, asked_ref: str, verify: tuple[Verify, ...] = ()
) -> SourceState:
    """Return the state of a source that is to be at `repository` now: what was followed elsewhere is not its history."""
    main = Followed(repository=repository, asked_ref=asked_ref, verify=verify)
    if state is None:
        return SourceState(main=main)
    kept = state.main.model_copy(update={"verify": verify}) if state.main.key == main.key else main
    return state.model_copy(update={"main": kept})


def next_number(state: SourceState, now: datetime) -> int:
    """Return the number of the next observation: it rises even when the clock goes back, or the state is lost."""
    return max(state.number + 1, int(now.timestamp() * 1000))


def observed(
    state: SourceState, source: str, sightings: Sequence[Sighting], now: datetime, *, hinted_by: str = ""
) -> SourceState:
    """Return the state after new tips were seen: numbered, with what must be published."""
    number = next_number(state, now)
    outbox = list(state.outbox)
    for sighting in sightings:
        before = find(state, sighting.key)
        revision = Revision(
            source=source,
            number=number,
            repository=before.repository,
            ref=sighting.chosen.ref,
            asked_ref=before.asked_ref,
            commit=sighting.commit,
            previous=before.revision.commit.id if before.revision else "",
            history=sighting.history,
            superseded=sighting.superseded[:SUPERSEDED],
            observed_at=now,
            hinted_by=hinted_by,
        )
        outbox += [Outgoing(revision=revision), *_history_facts(revision)]
        state = _with(state, before.model_copy(update={"revision": revision}))
    return state.model_copy(
        update={
            "number": number,
            "outbox": compacted(outbox),
            "request_number": number,
            "request_reason": state.request_reason or "commit",
        }
    )


def requested(state: SourceState, reason: str, now: datetime) -> SourceState:
    """Return the state with a request at the present tips, under a new number; as it was while no tip is known."""
    if state.main.revision is None:
        return state
    number = next_number(state, now)
    return state.model_copy(update={"number": number, "request_number": number, "request_reason": reason})


def republished(state: SourceState, now: datetime) -> SourceState:
    """Return the state that says everything again, to a bus that lost it: the same revisions, all packs anew."""
    known = [Outgoing(revision=each.revision) for each in state.followed if each.revision is not None]
    for each in state.followed:
        state = _with(state, each.model_copy(update={"chain": None}))
    charts = tuple(each.model_copy(update={"blob": None}) for each in state.charts)
    state = state.model_copy(update={"charts": charts})
    waiting = [item for item in state.outbox if item not in known]
    return requested(state.model_copy(update={"outbox": compacted([*known, *waiting])}), "rebuild", now)


def answered(state: SourceState, source: str, answers: Mapping[Key, TowlineError | None], now: datetime) -> SourceState:
    """Return the state after looking: an error makes a ref fail, None makes it answer again; once for each change."""
    outbox = list(state.outbox)
    for key, error in answers.items():
        before = find(state, key)
        if error is not None and _is_news(before.failing, error):
            since = before.failing.since if before.failing else now
            failing = Failing(code=error.code, message=error.message, hint=error.hint, since=since)
            state = _with(state, before.model_copy(update={"failing": failing}))
            outbox.append(Outgoing(fact=_failed(source, before, failing, now)))
            if before.revision is None and before.key != state.main.key:
                # Only the apps that need it fail; the others are waiting for this request.
                state = requested(state, "needs", now)
        elif error is None and before.failing is not None and not _lingers(before, before.failing, now):
            state = _with(state, before.model_copy(update={"failing": None}))
            outbox.append(Outgoing(fact=_recovered(source, before, before.failing, now)))
    return state.model_copy(update={"outbox": compacted(outbox)})


def verified(state: SourceState, rules: Mapping[Key, str]) -> SourceState:
    """Return the state after the tips passed these rules."""
    for key, passed in rules.items():
        state = _with(state, find(state, key).model_copy(update={"verified": passed}))
    return state


def _lingers(followed: Followed, failing: Failing, now: datetime) -> bool:
    """Tell whether a good answer proves nothing yet: a server that shows two tips in turn gives one every time."""
    if failing.code != STALE or now - failing.since > STALE_FOR:
        return False
    return followed.revision is None or followed.revision.observed_at < failing.since


def _is_news(failing: Failing | None, error: TowlineError) -> bool:
    if failing is None or failing.code != error.code:
        return True
    return error.code in TOLD_ANEW and failing.message != error.message


def still_unpacked(followed: Followed, chosen: Chosen) -> bool:
    """Tell whether the tip is one whose tree cannot be handed over: looking at it again changes nothing."""
    known = followed.revision
    failing = followed.failing is not None and followed.failing.code in UNPACKABLE
    return failing and known is not None and known.commit.id == chosen.commit


def needed(state: SourceState, needs: Needs, now: datetime) -> SourceState:
    """Return the state that follows what a fleet needs, and only that."""
    if needs.number < state.needs_number:
        return state
    known = {each.key: each for each in state.followed}
    wanted = {(each.repository, each.ref): each.verify for each in needs.repositories}
    fresh = {key: Followed(repository=key[0], asked_ref=key[1]) for key in wanted}
    others = tuple((known.get(key) or fresh[key]).model_copy(update={"verify": rules}) for key, rules in wanted.items())
    lost = needs.number >= state.request_number and any(
        pack.digest in needs.lost_packs for each in state.followed if each.chain for pack in each.chain.packs
    )
    # What nobody looked at yet has no answer: its request follows the first tip or failure.
    before = {each.key for each in state.others}
    answered_already = any(each.revision for each in others if each.key not in before)
    dropped = [Outgoing(fact=_dropped(needs.source, each, now)) for each in state.others if each.key not in wanted]
    outbox = compacted([*state.outbox, *dropped])
    state = state.model_copy(update={"needs_number": needs.number, "others": others, "outbox": outbox})
    if lost:
        for each in state.followed:
            state = _with(state, each.model_copy(update={"chain": None}))
    return requested(state, "needs", now) if lost or answered_already else state


def request_of(state: SourceState, source: str, now: datetime) -> RenderRequest | None:
    """Return the request at the present tips, or None while the packs of the source itself are not there."""
    main = _checkout(state.main)
    if main is None:
        return None
    others = [(each, _checkout(each)) for each in state.others]
    return RenderRequest(
        source=source,
        number=state.request_number,
        checkout=main,
        others=tuple(checkout for _, checkout in others if checkout is not None),
        failures=tuple(_failure(each) for each, checkout in others if checkout is None and each.failing is not None),
        charts=charts_of(state),
        reason=state.request_reason,
        requested_at=now,
    )


def published(state: SourceState, said: Sequence[Outgoing]) -> SourceState:
    """Return the state after the messages `said` reached the bus."""
    return state.model_copy(update={"outbox": tuple(item for item in state.outbox if item not in said)})


def request_published(state: SourceState, number: int) -> SourceState:
    """Return the state after the request `number` reached the bus; a newer one still waits."""
    return state.model_copy(update={"request_reason": ""}) if state.request_number == number else state


def unpacked(state: SourceState) -> list[Followed]:
    """Return what is followed and whose tip no packs bring yet."""
    return [
        each
        for each in state.followed
        if each.revision is not None and (each.chain is None or each.chain.tree != each.revision.commit.tree)
    ]


def with_chain(state: SourceState, key: Key, chain: Chain) -> SourceState:
    """Return the state after the packs of `chain` were stored; unchanged when it is no longer followed."""
    followed = next((each for each in state.followed if each.key == key), None)
    return state if followed is None else _with(state, followed.model_copy(update={"chain": chain}))


def find(state: SourceState, key: Key) -> Followed:
    """Return what is followed under `key`.

    Raises:
        KeyError: nothing is.
    """
    for each in state.followed:
        if each.key == key:
            return each
    raise KeyError(key)


def compacted(outbox: Iterable[Outgoing]) -> tuple[Outgoing, ...]:
    """Return the outbox within its bound: of one ref's tips the newest stays and names the others as superseded."""
    items = list(outbox)
    if len(items) <= OUTBOX:
        return tuple(items)
    newest: dict[Key, Revision] = {}
    for item in items:
        if item.revision is not None:
            key = item.revision.repository, item.revision.ref
            newest[key] = _over(newest[key], item.revision) if key in newest else item.revision
    facts = [item for item in items if item.fact is not None]
    return (*(Outgoing(revision=revision) for revision in newest.values()), *facts[-OUTBOX // 2 :])


def _over(old: Revision, new: Revision) -> Revision:
    superseded = tuple(dict.fromkeys((*new.superseded, old.commit.id, *old.superseded)))[:SUPERSEDED]
    return new.model_copy(update={"previous": old.previous, "superseded": superseded})


def _with(state: SourceState, followed: Followed) -> SourceState:
    """Return the state with `followed` in place of what had its key."""
    if followed.key == state.main.key:
        state = state.model_copy(update={"main": followed})
    others = tuple(followed if each.key == followed.key else each for each in state.others)
    return state.model_copy(update={"others": others})


def _checkout(followed: Followed) -> Checkout | None:
    revision, chain = followed.revision, followed.chain
    if revision is None or chain is None or chain.tree != revision.commit.tree:
        return None
    return Checkout(
        repository=followed.repository,
        asked_ref=followed.asked_ref,
        ref=revision.ref,
        commit=revision.commit,
        packs=chain.packs,
    )


def _failure(followed: Followed) -> SourceFailure:
    if followed.failing is None:
        raise ValueError(followed.key)
    return _why(followed.repository, followed.asked_ref, followed.failing)


def _why(repository: str, asked_ref: str, failing: Failing) -> SourceFailure:
    return SourceFailure(
        repository=repository, asked_ref=asked_ref, code=failing.code, message=failing.message, hint=failing.hint
    )


def charts_of(state: SourceState) -> tuple[ChartArchive, ...]:
    """Return what is known of the charts that a fleet needs."""
    return tuple(_chart(each) for each in state.charts if each.blob is not None or each.failing is not None)


def _chart(followed: FollowedChart) -> ChartArchive:
    failure = _why(followed.url, "", followed.failing) if followed.failing and followed.blob is None else None
    return ChartArchive(url=followed.url, digest=followed.digest, blob=followed.blob, failure=failure)


def _history_facts(revision: Revision) -> Iterable[Outgoing]:
    data = {"ref": revision.ref, "repository": revision.repository, "previous": revision.previous}
    if revision.superseded:
        message = f"{len(revision.superseded)} commits before {revision.commit.id[:12]} are superseded"
        superseded = {**data, "commits": list(revision.superseded)}
        yield Outgoing(fact=_fact("revision-superseded", revision, message, superseded, "info"))
    if revision.history is History.REWRITTEN:
        message = f"the history of {revision.ref} was rewritten: {revision.previous[:12]} is no longer part of it"
        if revision.ref.startswith(TAGS):
            message = (
                f"{revision.ref} was moved, or a tag of a newer version went away: {revision.previous[:12]} was there"
            )
        yield Outgoing(fact=_fact("history-rewritten", revision, message, data, "warning"))


def _fact(
    kind: str, revision: Revision, message: str, data: dict[str, Any], severity: Literal["info", "warning"]
) -> Fact:
    return Fact(
        id=fact_id(kind, revision.source, str(revision.number), revision.repository, revision.ref),
        program="poller",
        type=kind,
        source=revision.source,
        commit=revision.commit.id,
        message=message,
        severity=severity,
        data={**data, "number": revision.number},
        at=revision.observed_at,
    )


def _failed(source: str, followed: Followed, failing: Failing, now: datetime) -> Fact:
    data = failing.model_dump(mode="json") | {"repository": followed.repository, "ref": followed.asked_ref}
    return Fact(
        id=fact_id("source-failed", source, *followed.key, failing.code, now.isoformat()),
        program="poller",
        type="source-failed",
        source=source,
        message=failing.message,
        severity="error",
        data=data,
        at=now,
    )


def _recovered(source: str, followed: Followed, failing: Failing, now: datetime) -> Fact:
    data = {"repository": followed.repository, "ref": followed.asked_ref, "code": failing.code}
    return Fact(
        id=fact_id("source-recovered", source, *followed.key, now.isoformat()),
        program="poller",
        type="source-recovered",
        source=source,
        message=f"{followed.repository} answers again",
        data=data | {"since": failing.model_dump(mode="json")["since"]},
        at=now,
    )


def _dropped(source: str, followed: Followed, now: datetime) -> Fact:
    return Fact(
        id=fact_id("source-dropped", source, *followed.key, now.isoformat()),
        program="poller",
        type="source-dropped",
        source=source,
        message=f"{followed.repository} is no longer followed: no app names it",
        data={"repository": followed.repository, "ref": followed.asked_ref},
        at=now,
    )


def fact_id(*parts: str) -> str:
    """Return the id of a fact: the same whenever the same thing is stated again, so that the ledger stores it once."""
    return str(uuid5(NAMESPACE_URL, "towline:" + "\n".join(parts)))
