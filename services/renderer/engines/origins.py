"""Find where an object was written that a tool made of several files, for the tool does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.core.kubeyaml import Document, documents
from shared.core.objects import Manifest
from shared.errors import FindingsError
from shared.fleet.formats import YAML

Path = Sequence[str | int]
Place = tuple[str, int, int]
_ABSENT = object()


class Origins:
    """The objects that stand in some files; these are had and read when the first is looked for."""

    def __init__(self, files: Callable[[], Mapping[str, bytes]]) -> None:
        self._files = files
        self._known: list[Document] | None = None

    def of(self, manifest: Manifest, path: Path) -> Place | None:
        """Return file, line and column of what stands at `path` of an object; None where that is not sure."""
        if self._known is None:
            self._known = list(_read(self._files()))
        value = _value(manifest, path)
        # What is missing has the place of what it is missing from.
        there = path[:-1] if value is _ABSENT else path
        found = [
            each
            for each in self._known
            if _is_of(each.value, manifest)
            and _value(each.value, there) is not _ABSENT
            and (value is _ABSENT or _value(each.value, path) == value)
        ]
        return (found[0].file, *found[0].at(there)) if len(found) == 1 else None


def _read(files: Mapping[str, bytes]) -> Iterator[Document]:
    for path, content in files.items():
        if path.endswith(YAML):
            try:
                yield from documents(content, path)
            except FindingsError:
                # The engine has read it in its own way, or has said what is wrong.
                continue


def _is_of(written: Any, manifest: Manifest) -> bool:
    """Tell whether an object may have become `manifest`: tools put something before names and behind them."""
    metadata = written.get("metadata") if isinstance(written, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    alike = isinstance(name, str) and name and name in str(manifest["metadata"].get("name", ""))
    return bool(alike) and written.get("kind") == manifest["kind"]


def _value(value: Any, path: Path) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value
