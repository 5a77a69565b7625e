"""Know the kinds of Kubernetes itself, version by version: their schemas, and when which of them was removed.

The schemas are cut from a package by `python -m tests.schemas`; the file is read when the first object is checked.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.renderer.schemas.removals import BEFORE
from shared.core.canonical import decode
from shared.core.objects import group_of

_FILE = Path(__file__).parent / "kubernetes.json.xz"
_MINOR = re.compile(r"v?1\.(\d+)")
_STABLE = re.compile(r"v(\d+)")

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Removed:
    """A version of an API that a version of Kubernetes does not serve."""

    since: str
    """The first version of Kubernetes without it."""
    instead: str
    """The `apiVersion` that has the kind now; empty: it is gone."""


class Kinds:
    """The kinds that one version of Kubernetes serves."""

    def __init__(self, version: str = "") -> None:
        whole = _whole()
        self._index = _nearest(version, whole["versions"])
        self._minor = int(found[1]) if (found := _MINOR.match(version)) else _minor(whole["versions"][-1])
        self.version: str = whole["versions"][self._index]
        self._kinds = {kind: name for kind, found in whole["kinds"].items() for name in self._of(found)}
        self._definitions: Mapping[str, Any] = whole["definitions"]
        self._removed = {
            kind: whole["versions"][last + 1]
            for kind, found in whole["kinds"].items()
            if (last := max(max(indexes) for indexes, _ in found)) < self._index
        }

    def has(self, api_version: str, kind: str) -> bool:
        """Tell whether the kind is one of Kubernetes' own in this version."""
        return f"{api_version} {kind}" in self._kinds

    def schema(self, api_version: str, kind: str) -> Schema | None:
        """Return the schema of a kind, with all that it refers to; None when this version does not serve it."""
        name = self._kinds.get(f"{api_version} {kind}")
        return None if name is None else self.defined(name)

    def defined(self, name: str) -> Schema:
        """Return the schema of a definition, with all that it refers to."""
        reached: dict[str, Any] = {}
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in reached:
                reached[each] = next(iter(self._of(self._definitions[each])))
                waiting += _references(reached[each])
        return {"$schema": DIALECT, "$ref": f"#/$defs/{name}", "$defs": reached}

    def removed(self, api_version: str, kind: str) -> Removed | None:
        """Return since when this version of an API is gone; None when it is not known to be."""
        since = BEFORE.get(f"{api_version} {kind}") or self._removed.get(f"{api_version} {kind}")
        if since is None or _minor(since) > self._minor:
            return None
        return Removed(since, self._instead(api_version, kind))

    def since(self, api_version: str, kind: str) -> str:
        """Return the first version of Kubernetes that has a kind; empty when none is known that is later than this one."""
        found = _whole()["kinds"].get(f"{api_version} {kind}", ())
        first = min((min(indexes) for indexes, _ in found), default=0)
        return str(_whole()["versions"][first]) if first > self._index else ""

    def elsewhere(self, api_version: str, kind: str) -> str | None:
        """Return where a kind is that is not in its group, for no custom kind can be there; None: that is not sure."""
        group = group_of(api_version)
        if "." in group or self.has(api_version, kind) or f"{api_version} {kind}" in BEFORE:
            return None
        return min(
            (each.partition(" ")[0] for each in self._kinds if each.endswith(f" {kind}")), key=_instability, default=""
        )

    def _instead(self, api_version: str, kind: str) -> str:
        """Return the most stable version of a kind, best of its own group."""
        found = [each.partition(" ")[0] for each in self._kinds if each.partition(" ")[2] == kind]
        group = group_of(api_version)
        same = [each for each in found if group_of(each) == group]
        others = [each for each in found if group in _MOVED and group_of(each) in _MOVED[group]]
        return min(same or others, key=_instability, default="")

    def _of(self, found: list[Any]) -> Iterator[Any]:
        """Yield what of several forms is of this version."""
        yield from (form for indexes, form in found if self._index in indexes)


BASE64 = r"^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$"
"""The pattern of bytes in a manifest."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Groups whose kinds went to others.
_MOVED = {"extensions": {"apps", "networking.k8s.io"}}


@lru_cache(maxsize=16)
def kinds_of(version: str) -> Kinds:
    """Return the kinds of a version of Kubernetes, or of the nearest that is known; of the newest for none."""
    return Kinds(version)


@lru_cache(maxsize=1)
def _whole() -> Any:
    return decode(lzma.decompress(_FILE.read_bytes()))


def _nearest(version: str, known: list[str]) -> int:
    found = _MINOR.match(version)
    if found is None:
        return len(known) - 1
    return min(range(len(known)), key=lambda index: abs(_minor(known[index]) - int(found[1])))


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _instability(api_version: str) -> tuple[bool, int, str]:
    stable = _STABLE.fullmatch(api_version.rpartition("/")[2])
    return stable is None, -int(stable[1]) if stable else 0, api_version


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for member in schema.values():
            yield from _references(member)
