"""Find where something stands in a YAML file, by reading it once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from shared.core.kubescalars import key_text, resolved

Event = Any  # the library's types do not say what an event of a class carries
Path = Sequence[str | int]
Mark = tuple[int, int]


class _Node(NamedTuple):
    """A place, and the places of what is inside."""

    mark: Mark
    parts: dict[str | int, _Node]


class Places:
    """The places of a file's parts; the file must have been read without an error."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def of(self, document: int, path: Path) -> Mark:
        """Return line and column, from 1, of what stands at `path`, or of the last step that is there."""
        node = self._documents[document]
        for step in path:
            found = node.parts.get(step)
            if found is None:
                break
            node = found
        return node.mark

    @cached_property
    def _documents(self) -> list[_Node]:
        following = CParser(self._data).get_event
        found = []
        while (event := following()) is not None:
            if isinstance(event, DocumentStartEvent):
                found.append(_node(following(), following, {}))
        return found


def _node(event: Event, following: Callable[[], Event], anchors: dict[str, _Node]) -> _Node:
    mark = (event.start_mark.line + 1, event.start_mark.column + 1)
    if isinstance(event, AliasEvent):
        return _Node(mark, anchors[str(event.anchor)].parts)
    parts: dict[str | int, _Node] = {}
    if isinstance(event, SequenceStartEvent):
        while not isinstance(item := following(), SequenceEndEvent):
            parts[len(parts)] = _node(item, following, anchors)
    elif isinstance(event, MappingStartEvent):
        while not isinstance(key := following(), MappingEndEvent):
            at = _node(key, following, anchors)
            value = _node(following(), following, anchors)
            name = _name(key)
            parts[name] = _Node(at.mark, value.parts)
            if name == "<<":
                parts = {**value.parts, **parts}
    node = _Node(mark, parts)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _name(key: Event) -> str:
    """Return what a key is called in the value; keys by alias have no name of their own here."""
    if not isinstance(key, ScalarEvent):
        return ""
    text: str = key.value
    return (key_text(resolved(text)) if key.implicit[0] else None) or text
