"""Find the fields of an object that ignore rules take out (rule I8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from services.applier.fields import Path
from services.applier.options import IgnoreRule
from services.applier.predict import Place
from shared.core.canonical import decode
from shared.core.objects import ObjectKey


@dataclass(frozen=True, slots=True)
class Ignored:
    """What the rules about one object take out of it."""

    paths: frozenset[Path] = frozenset()
    managers: tuple[str, ...] = ()
    """Globs: whatever else these own is none of our business."""

    def covers(self, path: Path, managers: Iterable[str]) -> bool:
        """Tell whether a field is taken out: it is named, lies below what is named, or has an owner who is."""
        if any(path[:length] in self.paths for length in range(len(path) + 1)):
            return True
        return any(fnmatchcase(manager, glob) for manager in managers for glob in self.managers)


def rules_for(key: ObjectKey, rules: Iterable[IgnoreRule]) -> list[IgnoreRule]:
    """Return the rules that are about this object."""
    return [
        rule for rule in rules if all(fnmatchcase(getattr(key, name, ""), glob) for name, glob in rule.target.items())
    ]


def ignored_in(rules: Iterable[IgnoreRule], values: Iterable[Any], place: Place) -> Ignored:
    """Return what `rules` take out of the forms of one object, the wanted and the live one."""
    mine, forms = list(rules), list(values)
    paths = (
        path for rule in mine for pointer in rule.paths for form in forms for path in pointed(pointer, form, place)
    )
    return Ignored(frozenset(paths), tuple(glob for rule in mine for glob in rule.managers))


def pointed(pointer: str, value: Any, place: Place) -> Iterator[Path]:
    """Yield the paths that a JSON pointer means in `value`; the empty one means all of it.

    `*` stands for any name or index, `[name=text]` for the list items that have it.
    """
    if pointer and not pointer.startswith("/"):
        return
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    yield from _pointed(parts, value, place)


def _pointed(parts: list[str], value: Any, place: Place) -> Iterator[Path]:
    if not parts:
        yield place.path
        return
    part, rest = parts[0], parts[1:]
    steps = place.steps(value)
    if steps is None and isinstance(value, list):
        steps = {f"i:{index}": item for index, item in enumerate(value)}
    for index, (step, member) in enumerate((steps or {}).items()):
        if _fits(part, step, index, member, is_list=isinstance(value, list)):
            yield from _pointed(rest, member, place.at(step))


def _fits(part: str, step: str, index: int, member: Any, *, is_list: bool) -> bool:
    if part == "*":
        return True
    if not is_list:
        return step[2:] == part
    if part.startswith("[") and part.endswith("]"):
        name, _, text = part[1:-1].partition("=")
        keys = {**(decode(step[2:].encode()) if step[0] == "k" else {}), **(member if isinstance(member, dict) else {})}
        return name in keys and str(keys[name]) == text
    return part == str(index)
