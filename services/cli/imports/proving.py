"""Prove an import: what the written fleet renders to is compared with what the other tool would have made, by digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.cli.imports.flux_walk import Outcome
from services.cli.imports.model import Absent, Draft
from services.cli.offline_render import Made
from services.renderer.finish import Piece, finished
from shared.core.canonical import digest, encode
from shared.core.objects import Manifest
from shared.core.objects import key_of as key_of_object
from shared.errors import FindingsError

State = Literal["equal", "differs", "failed", "to prove"]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether an app on a cluster has the objects that it had."""

    app: str
    cluster: str
    state: State
    objects: int = 0
    digest: str = ""
    details: tuple[str, ...] = ()


def proof(
    draft: Draft, app: str, original: Outcome | None, ours: Made | None, dropped: Callable[[Manifest], bool]
) -> Proof:
    """Return how the two renderings of a draft compare."""
    if isinstance(draft.original, Absent) or original is None:
        return Proof(app, draft.cluster, "to prove", details=(getattr(draft.original, "reason", ""),))
    if original.findings:
        return Proof(app, draft.cluster, "failed", details=tuple(f"the original: {each}" for each in original.findings))
    if ours is None or not ours.digest:
        found = ours.findings if ours else ()
        return Proof(
            app, draft.cluster, "failed", details=tuple(map(str, found)) or ("the app is not on this cluster",)
        )
    try:
        kept = [Piece(each) for each in original.objects if not dropped(each)]
        data = finished(kept, draft.namespace or "default").data
    except FindingsError as error:
        return Proof(app, draft.cluster, "failed", details=tuple(f"the original: {each}" for each in error.findings))
    if digest(data) == ours.digest:
        return Proof(app, draft.cluster, "equal", len(ours.objects), ours.digest)
    details = differences([piece.manifest for piece in kept], ours.objects)
    return Proof(app, draft.cluster, "differs", len(ours.objects), ours.digest, tuple(details))


def differences(original: Sequence[Manifest], ours: Sequence[Manifest]) -> list[str]:
    """Return where two lists of objects differ: which are on one side only, and the first fields of those on both."""
    theirs = {str(key_of_object(each)): each for each in original}
    here = {str(key_of_object(each)): each for each in ours}
    found = [f"{key} is only in the original" for key in sorted(theirs.keys() - here.keys())]
    found += [f"{key} is only in what was written" for key in sorted(here.keys() - theirs.keys())]
    for key in sorted(theirs.keys() & here.keys()):
        place = _first(theirs[key], here[key], "")
        if place is not None:
            found.append(f"{key} differs at {place or 'its root'}")
    return [*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])]


def _first(one: Any, other: Any, at: str) -> str | None:
    """Return the path of the first difference, None where there is none."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            if key not in one or key not in other:
                return f"{at}.{key}"
            if (found := _first(one[key], other[key], f"{at}.{key}")) is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(
            (
                found
                for i, (a, b) in enumerate(zip(one, other, strict=True))
                if (found := _first(a, b, f"{at}[{i}]")) is not None
            ),
            None,
        )
    return None if encode(one) == encode(other) else at
