"""Check a document against a model of the format, and say where it is wrong and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from shared.core.canonical import encode
from shared.core.kubeyaml import Document, documents
from shared.core.trees import Tree
from shared.errors import Finding, FindingsError

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]

_WORDS = {
    "string_type": "must be a text: put it in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "missing": "is missing",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def checked(model: type[M], document: Document, findings: list[Finding], path: Path = ()) -> M | None:
    """Return what stands at `path` of a document as a `model`; None, and what is wrong among `findings`, otherwise."""
    value = document.value
    for step in path:
        value = value[step]
    try:
        # As JSON, because there a list is a tuple even where nothing else is guessed.
        return model.model_validate_json(encode(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    places: dict[Path, Finding] = {}
    for problem in problems:
        where = _real(value, problem["loc"])
        finding = _finding(model, document, path, where, problem)
        # Of an alternative each branch complains about one place; an unknown key says most.
        if where not in places or finding.code == "fleet.unknown-key":
            places[where] = finding
    findings += _innermost(places)
    return None


def sole_document(tree: Tree, path: str, findings: list[Finding]) -> Document | None:
    """Return the one document of a file; None, and why among `findings`, when there is not exactly one mapping."""
    try:
        found = documents(tree.read(path), path)
    except FindingsError as error:
        findings += error.findings
        return None
    if len(found) != 1:
        text = "the file holds nothing" if not found else "the file holds more than one document"
        line = found[1].at()[0] if found else 1
        findings.append(Finding("fleet.one-document", text, path, line, 1, "it holds one document"))
        return None
    if not isinstance(found[0].value, dict):
        findings.append(found[0].finding("fleet.bad-value", "the file must be a mapping"))
        return None
    return found[0]


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys that a model's mapping may have."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def misspelt_gates(stage: BaseModel) -> list[str]:
    """Return the keys of a stage that are no gates of a newer version but known keys with a slip."""
    known = keys_of(type(stage))
    return [key for key in stage.model_extra or () if _meant(key, known)]


def unknown_key(document: Document, path: Path, known: Sequence[str]) -> Finding:
    """Return the finding about the key at the end of `path`."""
    key = str(path[-1])
    meant = _meant(key, known)
    hint = f"did you mean {meant!r}?" if meant else f"known here: {', '.join(known)}"
    return document.finding("fleet.unknown-key", f"unknown key {key!r}", path, hint=hint)


def _meant(key: str, known: Sequence[str]) -> str:
    folded = {each.lower().replace("_", "").replace("-", ""): each for each in known}
    same = folded.get(key.lower().replace("_", "").replace("-", ""), "")
    return same or next(iter(get_close_matches(key, known, n=1, cutoff=0.7)), "")


def _finding(model: type[BaseModel], document: Document, path: Path, where: Path, problem: Any) -> Finding:
    if problem["type"] == "extra_forbidden":
        return unknown_key(document, (*path, *where), _keys_at(model, where[:-1]))
    name = ".".join(str(step) for step in where) or "the file"
    if problem["type"] == "missing":
        return document.finding("fleet.missing-key", f"{name} is missing", (*path, *where))
    return document.finding("fleet.bad-value", f"{name} {_complaint(problem)}", (*path, *where))


def _complaint(problem: Any) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "literal_error":
            return f"must be {context['expected']}"
        case "value_error":
            return f"cannot be used: {context['error']}"
        case "string_pattern_mismatch":
            return f"must look like {context['pattern']}"
    text: str = _WORDS.get(problem["type"]) or problem["msg"]
    return text[:1].lower() + text[1:]


def _innermost(places: Mapping[Path, Finding]) -> Iterator[Finding]:
    """Yield what is said about a place, unless something inside of it is said to be wrong."""
    for where, finding in places.items():
        if not any(len(other) > len(where) and other[: len(where)] == where for other in places):
            yield finding


def _real(value: Any, loc: Sequence[str | int]) -> Path:
    """Return the path as the document has it: without the names of alternatives that pydantic puts in between."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        if (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]  # type: ignore[index]  # checked above for both kinds
        elif not (index == len(loc) - 1 and isinstance(value, Mapping)):
            continue
        path.append(step)
    return tuple(path)


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that may stand at `path` of a model."""
    known: list[type[BaseModel]] = [model]
    for step in path:
        fields = [field for each in known for field in each.model_fields.values() if field.alias == step]
        # A name in a dict or an index: the models behind it were taken with its field.
        known = [inner for field in fields for inner in _models(field.annotation)] or known
    return sorted({key for each in known for key in keys_of(each)})


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field may hold, at any depth of lists, dicts and alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, UnionType} or get_args(annotation):
        return [model for each in get_args(annotation) for model in _models(each)]
    return []
