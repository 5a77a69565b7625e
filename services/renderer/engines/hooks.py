"""Give Helm's hooks their place among the other objects: before them, after them, when the app is removed, or nowhere.

What belongs to a test has no place in a delivery. The annotations themselves stay, for they say how to replace and delete a
hook. What only an uninstall or a rollback runs says so in our own words too, which count always: applied as a mere object
it would do its work at the installation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.renderer.finish import Piece
from shared.errors import Finding, FindingsError

HOOK = "helm.sh/hook"
WEIGHT = "helm.sh/hook-weight"
WAVE = "towline.dev/wave"
OUR_HOOK = "towline.dev/hook"
OUR_WEIGHT = "towline.dev/hook-weight"
_BEFORE = frozenset({"pre-install", "pre-upgrade"})
_AFTER = frozenset({"post-install", "post-upgrade"})
ON_ROLLBACK = "towline.dev/hook-on-rollback"
_ROLLBACK = {"pre-rollback": "PreSync", "post-rollback": "PostSync"}
_REMOVAL = {"pre-delete": "PreDelete", "post-delete": "PostDelete"}
# Waves of charts and users are far nearer to zero; within them, weights order.
_FIRST, _LAST, _REACH = -10_000, 10_000, 5_000


def with_hook(piece: Piece) -> Piece | None:
    """Return the object with its wave, or None when it has no place in a delivery.

    Raises:
        FindingsError: its weight is no number.
    """
    metadata = piece.manifest.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(notes, dict) or not isinstance(notes.get(HOOK), str):
        return piece
    events = {event.strip() for event in notes[HOOK].split(",")}
    if "crd-install" in events:
        return _with_notes(piece, {name: value for name, value in notes.items() if not name.startswith(HOOK)})
    leaving = [phase for event, phase in _REMOVAL.items() if event in events]
    back = [phase for event, phase in _ROLLBACK.items() if event in events][:1]
    if not (events & (_BEFORE | _AFTER) or leaving or back):
        return None
    weight = max(-_REACH, min(_REACH, _weight(notes.get(WEIGHT, "0"), piece)))
    if not events & (_BEFORE | _AFTER):
        only = {ON_ROLLBACK: "only"} if back else {}
        return _with_notes(piece, {OUR_HOOK: ",".join([*back, *leaving]), OUR_WEIGHT: str(weight), **only, **notes})
    wave = (_FIRST if events & _BEFORE else _LAST) + weight
    return _with_notes(piece, {WAVE: str(wave), **notes})


def _weight(text: Any, piece: Piece) -> int:
    try:
        return int(text)
    except (TypeError, ValueError) as error:
        message = f"the annotation {WEIGHT} is {text!r}, not a whole number"
        raise FindingsError([Finding("render.helm", message, piece.file)]) from error


def _with_notes(piece: Piece, notes: dict[str, Any]) -> Piece:
    metadata = {**piece.manifest["metadata"], "annotations": notes}
    return replace(piece, manifest={**piece.manifest, "metadata": metadata})
