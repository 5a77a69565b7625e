"""Find what others changed in an object: every field that we want and that is otherwise in the cluster, and by whom.

Only what the manifest says is compared: what controllers add is none of our business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from services.applier.fields import MISSING, Path, covers, entries, human
from services.applier.options import IgnoreRule
from services.applier.redact import shown
from services.applier.tracking import MANAGER
from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, ObjectKey, key_of

LINES = 50
# By what the API server merges list items of built-in kinds; the first that fits all items counts.
_MERGE_KEYS = (
    ("name",),
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("ip",),
    ("uid",),
    ("type",),
)
# Lists whose items have names too, and are told apart by something else.
_MERGE_KEYS_OF: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "f:ports": (("containerPort", "protocol"), ("port", "protocol")),
    "f:volumeMounts": (("mountPath",),),
    "f:volumeDevices": (("devicePath",),),
}
_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}
# Where a text is a quantity, which the API server writes in its own form.
_QUANTITIES = frozenset(
    f"f:{name}"
    for name in [
        "limits",
        "requests",
        "hard",
        "capacity",
        "storage",
        "sizeLimit",
        "default",
        "defaultRequest",
        "min",
        "max",
        "cpu",
        "memory",
    ]
)
_SUFFIXES: Mapping[str, Decimal] = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate(("m", "u", "n"), 1)},
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field that is not as it should be."""

    path: Path
    wanted: Any
    found: Any
    """`MISSING` when it is gone."""
    managers: tuple[str, ...] = ()
    """Who owns it now, besides us."""


def changes(wanted: Manifest, live: Manifest, rules: Iterable[IgnoreRule] = ()) -> tuple[Change, ...]:
    """Return how `live` differs from `wanted`, without what `rules` take out (I8)."""
    key = key_of(wanted)
    mine = rules_for(key, rules)
    found = []
    for path, before, after in _walk(wanted, live, ()):
        change = Change(path, before, after, others_at(live, path))
        if not any(ignores(rule, change.path, change.managers) for rule in mine):
            found.append(change)
    return tuple(found)


def lines(key: ObjectKey, found: Sequence[Change], secret: bytes) -> tuple[str, ...]:
    """Return the changes as lines for people, secrets masked; at most 50, the last says how many are left out."""
    told = [
        f"{key} {human(change.path)}: {shown(key, change.path, change.wanted, secret)} -> "
        f"{shown(key, change.path, change.found, secret)}"
        + (f" (by {', '.join(change.managers)})" if change.managers else "")
        for change in found[:LINES]
    ]
    more = len(found) - LINES
    return (*told[: LINES - 1], f"{key}: {more + 1} more changes") if more > 0 else tuple(told)


def _walk(wanted: Any, live: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for name, value in wanted.items():
            yield from _walk(value, live.get(name, MISSING), (*path, f"f:{name}"))
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _walk_lists(wanted, live, path)
    elif not _same(wanted, live, path):
        yield path, wanted, live


def _walk_lists(wanted: list[Any], live: list[Any], path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if path == ("f:metadata", "f:finalizers"):
        # A set: what controllers added stays.
        yield from (((*path, f"v:{encode(item).decode()}"), item, MISSING) for item in wanted if item not in live)
    elif names := merge_keys(path, wanted, live):
        by_key = {item_key_of(item, names): item for item in live}
        for item in wanted:
            item_key = item_key_of(item, names)
            yield from _walk(item, by_key.get(item_key, MISSING), (*path, f"k:{item_key}"))
    elif len(wanted) != len(live):
        yield path, wanted, live
    else:
        for index, (before, after) in enumerate(zip(wanted, live, strict=True)):
            yield from _walk(before, after, (*path, f"i:{index}"))


def merge_keys(path: Path, *lists: list[Any]) -> tuple[str, ...]:
    """Return the fields that tell the items of these lists at `path` apart, or none."""
    for names in _MERGE_KEYS_OF.get(path[-1] if path else "", _MERGE_KEYS):
        if all(_is_keyed(items, names) for items in lists):
            return names
    return ()


def _is_keyed(items: list[Any], names: tuple[str, ...]) -> bool:
    if not all(isinstance(item, Mapping) and item.keys() | _DEFAULTS.keys() >= set(names) for item in items):
        return False
    return len({item_key_of(item, names) for item in items}) == len(items)


def item_key_of(item: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return what the API server writes behind `k:` for a list item."""
    return encode({name: item.get(name, _DEFAULTS.get(name)) for name in names}).decode()


def _same(wanted: Any, live: Any, path: Path) -> bool:
    """Tell whether both mean the same: the API server leaves out what is empty and rewrites quantities."""
    if live is MISSING or live is None:
        return wanted in (None, {}, [])
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return True
    if not _QUANTITIES.intersection(path):
        return False
    left, right = quantity(wanted), quantity(live)
    return left is not None and left == right


def quantity(value: Any) -> Decimal | None:
    """Return the number that a Kubernetes quantity means, or None."""
    text = str(value)
    number = text.rstrip("KMGTPEkmuni")
    try:
        return Decimal(number) * _SUFFIXES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None


def others_at(live: Manifest, path: Path) -> tuple[str, ...]:
    """Return who else owns what is at `path`."""
    owners = (entry.manager for entry in entries(live) if entry.manager != MANAGER and covers(entry.fields, path))
    return tuple(dict.fromkeys(owners))


def rules_for(key: ObjectKey, rules: Iterable[IgnoreRule]) -> list[IgnoreRule]:
    """Return the rules that are about this object."""
    return [
        rule for rule in rules if all(fnmatchcase(getattr(key, name, ""), glob) for name, glob in rule.target.items())
    ]


def ignores(rule: IgnoreRule, path: Path, managers: Iterable[str]) -> bool:
    """Tell whether a field, and who else owns it, is what a rule takes out."""
    if any(fnmatchcase(manager, glob) for manager in managers for glob in rule.managers):
        return True
    return any(_points_at(pointer, path) for pointer in rule.paths)


def _points_at(pointer: str, path: Path) -> bool:
    """Tell whether a JSON pointer means `path` or something above it."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return 0 < len(parts) <= len(path) and all(_part_fits(part, step) for part, step in zip(parts, path, strict=False))


def _part_fits(part: str, step: str) -> bool:
    kind, _, rest = step.partition(":")
    if part == "*":
        return True
    if part.startswith("[") and part.endswith("]") and kind == "k":
        name, _, value = part[1:-1].partition("=")
        return str(decode(rest.encode()).get(name)) == value
    return kind in {"f", "i"} and rest == part
