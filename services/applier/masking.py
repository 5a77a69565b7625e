"""Hide the values of Secrets in several forms of one object, and let it be seen which of them are equal (rule P1).

Where an agent's key is at hand a digest with it says more (`redact`): it is the same the next day, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.applier.fields import MISSING
from services.applier.predict import last_applied
from services.applier.redact import LAST_APPLIED
from services.applier.sameness import comparable
from shared.core.canonical import encode
from shared.core.objects import Manifest

HIDDEN, BEFORE, AFTER = "***", "*** (before)", "*** (after)"
Tree = dict[str, Any]


def alike(objects: Sequence[Manifest | None]) -> tuple[Tree | None, ...]:
    """Return forms of one Secret in which equal values of a name have equal masks, and others masks of other length.

    What kubectl wrote down about an object is one more form of it.
    """
    seen: dict[str, list[bytes]] = {}

    def mask(name: str, value: Any) -> str:
        known, text = seen.setdefault(name, []), encode(value)
        if text not in known:
            known.append(text)
        return "+" * (8 + 4 * known.index(text))

    hidden = [None if each is None else _hidden(comparable(each), mask) for each in objects]
    for form in hidden:
        if form is not None and (last := last_applied(form)) is not None:
            notes = {**form["metadata"]["annotations"], LAST_APPLIED: encode(_hidden(comparable(last), mask)).decode()}
            form["metadata"] = {**form["metadata"], "annotations": notes}
    return tuple(hidden)


def before_and_after(before: Any, after: Any) -> tuple[Any, Any]:
    """Return two values of a Secret as they may be shown; of mappings the names stay, and which members changed."""
    if not (isinstance(before, Mapping) or isinstance(after, Mapping)):
        return _pair(before, after)
    names = dict.fromkeys([*_names(before), *_names(after)])
    pairs = {name: _pair(_value(before, name), _value(after, name)) for name in names}
    return _shown(before, {name: pair[0] for name, pair in pairs.items()}), _shown(
        after, {name: pair[1] for name, pair in pairs.items()}
    )


def _shown(value: Any, masks: Mapping[str, Any]) -> Any:
    """Return a mapping with the masks of its members; what is no mapping is hidden whole."""
    if isinstance(value, Mapping):
        return {name: masks[name] for name in value}
    return MISSING if value is MISSING else HIDDEN


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []


def _value(mapping: Any, name: str) -> Any:
    return mapping.get(name, MISSING) if isinstance(mapping, Mapping) else MISSING


def _pair(before: Any, after: Any) -> tuple[Any, Any]:
    both = before is not MISSING and after is not MISSING
    old, new = (BEFORE, AFTER) if both and before != after else (HIDDEN, HIDDEN)
    return MISSING if before is MISSING else old, MISSING if after is MISSING else new


def _hidden(secret: Tree, mask: Callable[[str, Any], str]) -> Tree:
    data = secret.get("data")
    if not isinstance(data, Mapping):
        return secret if data is None else {**secret, "data": HIDDEN}
    return {**secret, "data": {name: mask(name, value) for name, value in data.items()}}
