"""Compare what was sent with the answer to a write: did the API server keep every field (rule D17)?

What is missing was dropped on the way: by a feature gate that is off, by pruning, by a conversion. What is otherwise
was overridden by admission. An API server also writes values in its own form, and leaves out what says nothing;
neither is told. Only what was sent is walked, and most answers are done with at a first look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.applier.diff import changes
from services.applier.errors import ErrorClass, Failure
from services.applier.fields import MISSING, Path, human
from services.applier.lists import is_builtin
from services.applier.sameness import quantity
from shared.core.canonical import decode
from shared.core.objects import Manifest

NAMED = 5
PATH_CHARACTERS = 200
_HINT = (
    "this cluster does not store them: its version or its feature gates lack them, or an admission rule removes them; "
    'take them out of the manifest, or annotate it with towline.dev/validate: "false" to go without them'
)
# Where being off says something that being absent does not.
_SAYS_OFF = frozenset({"f:hostUsers"})
# What the API server itself writes down for old versions of autoscalers.
_REWRITTEN = "f:autoscaling.alpha.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Answered:
    """What is to be said of an answer."""

    failure: Failure | None = None
    """The object lost fields."""
    warnings: tuple[str, ...] = ()


_ALL_KEPT = Answered()


def answered(sent: bytes, answer: Manifest, *, strict: bool) -> Answered:
    """Return what became otherwise of the payload of a PATCH.

    Args:
        sent: the payload.
        answer: the whole object as the API server has it now.
        strict: an object must not lose fields; otherwise that is a warning.
    """
    wanted = decode(sent)
    if _stands(wanted, answer):
        return _ALL_KEPT
    builtin = is_builtin(str(wanted["apiVersion"]))
    told = [
        each
        for each in changes(wanted, answer)
        if not _says_the_same(each.path, each.wanted, each.found, builtin=builtin)
    ]
    dropped = [each.path for each in told if each.found is MISSING]
    overridden = [each.path for each in told if each.found is not MISSING]
    warnings = [f"mutated: admission changed {_named(overridden)}"] if overridden else []
    if not dropped:
        return Answered(warnings=tuple(warnings))
    lost = f"dropped fields: {_named(dropped)}"
    if strict:
        return Answered(Failure(ErrorClass.SCHEMA, lost, _HINT), tuple(warnings))
    return Answered(warnings=(*warnings, lost))


def _stands(sent: Any, found: Any) -> bool:
    """Tell whether `found` has all of `sent`, list items in their places: quick, and never wrong when it says yes."""
    if isinstance(sent, dict):
        return isinstance(found, dict) and all(
            name in found and _stands(value, found[name]) for name, value in sent.items()
        )
    if isinstance(sent, list):
        return isinstance(found, list) and len(sent) == len(found) and all(map(_stands, sent, found))
    return bool(sent == found)


def _says_the_same(path: Path, sent: Any, found: Any, *, builtin: bool) -> bool:
    """Tell whether a difference is none: nothing, a default, an addition, another form."""
    if not sent and not (sent is False and path[-1] in _SAYS_OFF):
        # The zero value of its type: what a field without a value has, or gets its default.
        return found is MISSING or builtin or sent is None
    if path[-1].startswith(_REWRITTEN):
        return True
    if found is MISSING:
        return False
    if isinstance(sent, list) and isinstance(found, list):
        # Others added to it.
        return all(any(_stands(item, other) for other in found) for item in sent)
    if _is_number(sent) and _is_number(found):
        return float(sent) == float(found)
    return builtin and _normalised(sent, found)


def _normalised(sent: Any, found: Any) -> bool:
    """Tell whether a built-in kind's field holds the same in the form of the API server."""
    if (amount := quantity(sent)) is not None and amount == quantity(found):
        return True
    if not (isinstance(sent, str) and isinstance(found, str)):
        return False
    # Base64 may be broken into lines; moments have zones and fractions.
    return "".join(sent.split()) == found or ((moment := _moment(sent)) is not None and moment == _moment(found))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _named(paths: Sequence[Path]) -> str:
    more = len(paths) - NAMED
    return ", ".join(human(path)[:PATH_CHARACTERS] for path in paths[:NAMED]) + (
        f" and {more} more" if more > 0 else ""
    )
