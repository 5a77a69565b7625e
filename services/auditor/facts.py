"""Fold facts: what poller, renderer and releaser state in the past tense.

A fact's data may grow with every version of the program that states it, so what is not there reads as empty and what
is not known stays in the ledger untouched. What could open something (sealed tokens, credentials) is never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.auditor.changes import (
    Change,
    CommandDone,
    Folded,
    HoldChanged,
    ReleaseMade,
    RolloutMoved,
    TargetReleased,
    TargetTakenBack,
)
from services.auditor.following import SourceChecked, SourceDropped
from services.auditor.ledger import Event
from shared.core.status import way_back
from shared.core.times import time_text
from shared.messages.facts import Fact
from shared.messages.releases import ReleaseState

SECRET_WORDS = ("sealed", "secret", "token", "jwt", "seed", "proof", "password", "credential", "reply_key", "key_set")
REDACTED = "(redacted)"
# A type of one word says too little beside the nouns of all the other events.
_TYPES = {
    "released": "target.released",
    "removed": "target.removed",
    "held": "target.held",
    "approved": "target.approved",
    "suspended": "target.suspended",
    "resumed": "target.resumed",
    "rolled-back": "target.rolled-back",
    "rollback-over": "target.rollback-over",
    "source-failed": "source.failed",
    "source-recovered": "source.recovered",
    "source-dropped": "source.dropped",
}


def redacted(value: Any) -> Any:
    """Return `value` without what could open something: values under telling names, at any depth."""
    if isinstance(value, Mapping):
        return {
            str(name): REDACTED if any(word in str(name).lower() for word in SECRET_WORDS) else redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return value


def event_type(fact_type: str, program: str) -> str:
    """Return the ledger's type of a fact: `rollout-paused` is `rollout.paused`."""
    if fact_type in _TYPES:
        return _TYPES[fact_type]
    noun, dash, verb = fact_type.partition("-")
    return f"{noun}.{verb}" if dash else f"{program}.{fact_type}"


def of_fact(fact: Fact) -> Folded:
    """Return what a fact means."""
    event = Event(
        key=f"fact/{fact.id}",
        type=event_type(fact.type, fact.program),
        time=fact.at,
        source=fact.source,
        cluster=fact.cluster,
        app=fact.app,
        commit=fact.commit,
        severity=fact.severity,
        message=fact.message,
        data={"program": fact.program, "command": fact.command, **redacted(fact.data)},
    )
    return Folded((event,), tuple(_changes(fact)))


def _changes(fact: Fact) -> Iterable[Change]:
    if fact.type.startswith("rollout-"):
        return _rollout(fact)
    return _FOLDS[fact.type](fact) if fact.type in _FOLDS else ()


def _source(fact: Fact) -> Iterable[Change]:
    failed = fact.type == "source-failed"
    place = (fact.source, str(fact.data.get("repository", "")), str(fact.data.get("ref", "")))
    if fact.type == "source-dropped":
        yield SourceDropped(*place, time_text(fact.at))
        return
    code, hint = str(fact.data.get("code", "")), str(fact.data.get("hint", ""))
    why = (code, fact.message, hint) if failed else ("", "", "")
    yield SourceChecked(*place, failed, *why, time_text(fact.at))


def _releases(fact: Fact) -> Iterable[Change]:
    for release in _listed(fact):
        row = _release_row(fact, release)
        if row["cluster"] and row["app"]:
            yield TargetReleased(**row)
            yield ReleaseMade(**row, rollback=_rollback(release, row["commit"]))


def _rollback(release: Mapping[str, Any], commit: str) -> str:
    back = release.get("rollback")
    if not isinstance(back, Mapping):
        return ""
    aside, reason = str(back.get("commit") or ""), str(back.get("reason") or "")
    return f"{back.get('actor') or 'somebody'} took it back {way_back(aside, commit, reason)}"


def _listed(fact: Fact) -> list[Mapping[str, Any]]:
    """Return the releases of a fact: a list under one of two names, else the fact's own data."""
    for name in ("releases", "targets"):
        listed = fact.data.get(name)
        if isinstance(listed, list):
            return [each for each in listed if isinstance(each, Mapping)]
    return [fact.data]


def _release_row(fact: Fact, release: Mapping[str, Any]) -> dict[str, Any]:
    origin = _origin(release)
    rollout = release.get("rollout")
    place = rollout if isinstance(rollout, Mapping) else {"id": rollout or "", "stage": release.get("stage")}
    removed = fact.type == "removed" or release.get("state") == ReleaseState.REMOVED
    return {
        "cluster": str(release.get("cluster") or fact.cluster),
        "app": str(release.get("app") or fact.app),
        "epoch": _number(release.get("epoch")),
        "generation": _number(release.get("generation")),
        "bundle": str(release.get("bundle") or ""),
        "state": str(ReleaseState.REMOVED if removed else ReleaseState.PRESENT),
        "source": str(release.get("source") or origin.get("source") or fact.source),
        "number": _number(release.get("number") or fact.data.get("number")),
        "ref": str(release.get("ref") or origin.get("ref") or fact.data.get("ref") or ""),
        "commit": str(release.get("commit") or origin.get("commit") or _first_commit(release) or fact.commit),
        "rollout": str(place.get("id") or ""),
        "stage": str(place.get("stage") or ""),
        "released_at": time_text(fact.at),
    }


def _origin(release: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first provenance of a release: that of its app's own content."""
    provenance = release.get("provenance")
    first = provenance[0] if isinstance(provenance, list) and provenance else {}
    return first if isinstance(first, Mapping) else {}


def _first_commit(release: Mapping[str, Any]) -> str:
    commits = release.get("commits")
    return str(commits[0]) if isinstance(commits, list) and commits else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _rollout(fact: Fact) -> Iterable[Change]:
    name = str(fact.data.get("id") or fact.data.get("rollout") or "")
    if name:
        yield RolloutMoved(
            rollout=name,
            app=fact.app,
            source=fact.source,
            commit=fact.commit,
            state=str(fact.data.get("state") or fact.type.removeprefix("rollout-")),
            stage=str(fact.data.get("stage") or ""),
            message=fact.message,
            body=redacted(fact.data),
            updated_at=time_text(fact.at),
        )


def _taken_back(fact: Fact) -> Iterable[Change]:
    """Yield which targets run something older than git says, or no longer do."""
    over = fact.type == "rollback-over"
    listed = fact.data.get("rollbacks")
    for each in listed if isinstance(listed, list) else ():
        told = {str(name): value for name, value in each.items() if name not in {"cluster", "app", "aside"}}
        yield TargetTakenBack(
            cluster=str(each.get("cluster") or fact.cluster),
            app=str(each.get("app") or fact.app),
            rollback=None if over else {**told, "at": time_text(fact.at)},
            aside="" if over else str(each.get("aside") or ""),
            rollback_at=time_text(fact.at),
        )


def _hold(fact: Fact) -> Iterable[Change]:
    """Yield what is held, or approved.

    A hold is named by the digest that an approval must name, or where it has none by what it stops.
    """
    name = str(fact.data.get("id") or fact.data.get("approval") or f"{fact.cluster}/{fact.app}/{fact.source}")
    yield HoldChanged(
        hold=name,
        cluster=fact.cluster,
        app=fact.app,
        source=fact.source,
        commit=fact.commit,
        held=fact.type == "held",
        message=fact.message,
        body=redacted(fact.data),
        changed_at=time_text(fact.at),
    )


def _command(fact: Fact) -> Iterable[Change]:
    result = fact.data.get("result")
    yield CommandDone(
        command=fact.command,
        ok=bool(fact.data.get("ok")),
        code=str(fact.data.get("code") or ""),
        message=fact.message,
        result=redacted(result) if isinstance(result, Mapping) else {},
        done_at=time_text(fact.at),
    )


_FOLDS: Mapping[str, Callable[[Fact], Iterable[Change]]] = {
    "source-failed": _source,
    "source-recovered": _source,
    "source-dropped": _source,
    "released": _releases,
    "removed": _releases,
    "rolled-back": _taken_back,
    "rollback-over": _taken_back,
    "held": _hold,
    "approved": _hold,
    "hold-dissolved": _hold,
    "command-done": _command,
}
