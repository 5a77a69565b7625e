"""Tell how the items of a list are told apart, which decides what an apply merges and what it replaces.

The API server itself says so wherever somebody owns something in the list: `k:{...}` in managedFields is an item by
its keys, `v:...` a member of a set, a leaf a list that is replaced as a whole. Without that the merge keys of built-in
kinds count; lists of custom resources are then taken as a whole, which is what a CRD says that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.applier.fields import Fields, Path
from shared.core.canonical import NotJSONError, decode, encode
from shared.core.objects import group_of

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
_SETS = frozenset({("f:metadata", "f:finalizers")})
# Groups that API servers serve themselves. Others end in k8s.io too, and are custom resources.
BUILTIN = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"}) | frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
    )
)
# Lists of built-in kinds that are replaced as a whole, although their items have names or types.
_WHOLE = frozenset({"f:subjects", "f:rules", "f:metrics", "f:versions"})
_WHOLE_HERE = frozenset({("f:imagePullSecrets",)})


@dataclass(frozen=True, slots=True)
class Form:
    """How a list is merged."""

    keys: tuple[str, ...] = ()
    """The fields that tell its items apart."""
    is_set: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether the list is replaced as a whole."""
        return not (self.keys or self.is_set)

    def step(self, item: Any, index: int) -> str:
        """Return the step of a path that leads to one item."""
        if self.keys:
            return f"k:{item_key_of(item, self.keys)}"
        return f"v:{encode(item).decode()}" if self.is_set else f"i:{index}"


def form_of(path: Path, lists: Iterable[list[Any]], known: Fields | None, *, builtin: bool) -> Form:
    """Return how the lists at `path` are merged.

    Args:
        path: where they stand.
        lists: the lists; what does not fit all their items does not count.
        known: what anybody owns in there, as managedFields say it; None: nobody owns anything.
        builtin: the kind is one of Kubernetes' own.
    """
    items = [each for each in lists if each]
    if known is not None:
        said = _said(known)
        return said if not said.keys or all(_is_keyed(each, said.keys) for each in items) else Form()
    if path in _SETS:
        return Form(is_set=True)
    return Form(merge_keys(path, *items)) if builtin else Form()


def merge_keys(path: Path, *lists: list[Any]) -> tuple[str, ...]:
    """Return the fields that tell the items of these lists of a built-in kind at `path` apart, or none."""
    last = path[-1] if path else ""
    if last in _WHOLE or path in _WHOLE_HERE or not any(lists):
        return ()
    for names in _MERGE_KEYS_OF.get(last, _MERGE_KEYS):
        if all(_is_keyed(items, names) for items in lists):
            return names
    return ()


def item_key_of(item: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return what the API server writes behind `k:` for a list item."""
    return encode({name: item.get(name, _DEFAULTS.get(name)) for name in names}).decode()


def _said(known: Fields) -> Form:
    """Return the form that what is owned in a list reveals; who owns no item owns the whole list."""
    for step in known:
        kind, _, rest = step.partition(":")
        if kind == "v":
            return Form(is_set=True)
        if kind == "k":
            try:
                return Form(tuple(decode(rest.encode())))
            except (NotJSONError, TypeError):
                continue
    return Form()


def _is_keyed(items: list[Any], names: tuple[str, ...]) -> bool:
    if not all(isinstance(item, Mapping) and item.keys() | _DEFAULTS.keys() >= set(names) for item in items):
        return False
    return len({item_key_of(item, names) for item in items}) == len(items)


def is_builtin(api_version: str) -> bool:
    """Tell whether a kind of this `apiVersion` is one of Kubernetes' own, by its group."""
    return group_of(api_version) in BUILTIN
