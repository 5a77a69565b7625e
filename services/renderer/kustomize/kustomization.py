"""Recognise a kustomization that lies within what is built here; everything that is not listed here lies outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.renderer.kustomize.outside import need, outside, plain, texts

_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]+")
_SUFFIX = re.compile(r"[A-Za-z0-9._-]*")
# What Go and Python take for the same regular expression.
_PATTERN = re.compile(r"(?:[A-Za-z0-9_/-]|\.[*+]?|\||\((?!\?)|\))*")
_SELECTOR = re.compile(r"(?:[A-Za-z0-9._/-]+(?:==?|!=)[A-Za-z0-9._-]*|!?[A-Za-z0-9._/-]+)(?:,(?=.)|$)")


@dataclass(frozen=True, slots=True)
class Labels:
    """An entry of `labels`."""

    pairs: Mapping[str, str]
    selectors: bool
    templates: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An entry of `images`."""

    name: str
    new_name: str = ""
    new_tag: str = ""
    digest: str = ""
    tag_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Which objects a patch is for: regular expressions, and selectors as they are written."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    labels: str = ""
    annotations: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """An entry of `patches`: a file, or text."""

    path: str
    text: str
    target: Target | None


@dataclass(frozen=True, slots=True)
class Options:
    """Options of generators."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    plain_name: bool = False
    immutable: bool = False

    def under(self, general: Options) -> Options:
        """Return these options with what all generators of the file have."""
        return Options(
            {**general.labels, **self.labels},
            {**general.annotations, **self.annotations},
            self.plain_name or general.plain_name,
            self.immutable or general.immutable,
        )


@dataclass(frozen=True, slots=True)
class Generator:
    """An entry of `configMapGenerator` or `secretGenerator`."""

    kind: str
    name: str
    namespace: str
    behavior: str
    type: str
    envs: tuple[str, ...]
    literals: tuple[str, ...]
    files: tuple[str, ...]
    options: Options


@dataclass(frozen=True, slots=True)
class Kustomization:
    """What a kustomization says."""

    kind: str
    features: frozenset[str]
    """The fields that it uses."""
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    namespace: str = ""
    prefix: str = ""
    suffix: str = ""
    labels: tuple[Labels, ...] = ()
    common_labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    images: tuple[Image, ...] = ()
    replicas: tuple[tuple[str, int], ...] = ()
    merges: tuple[str, ...] = ()
    """`patchesStrategicMerge`: files or texts."""
    patches: tuple[Patch, ...] = ()
    json_patches: tuple[Patch, ...] = ()
    generators: tuple[Generator, ...] = ()


def kustomization_of(value: Any) -> Kustomization:
    """Return what a kustomization says.

    Raises:
        OutsideError: it says more than is known here, or something wrong.
    """
    need(isinstance(value, dict), "no kustomization")
    said = {name: member for name, member in value.items() if member is not None}
    kind = said.pop("kind", "Kustomization")
    need(kind in _VERSIONS and said.pop("apiVersion", _VERSIONS[kind]) == _VERSIONS[kind], "another kind")
    need(said, "it says nothing")
    need(set(said.pop("metadata", {})) <= {"name"}, "metadata")
    general = _options(said.pop("generatorOptions", {}))
    features = frozenset(_features(said))
    found: dict[str, Any] = {}
    generators: list[Generator] = []
    for name, member in said.items():
        if name in {"configMapGenerator", "secretGenerator"}:
            continue
        need(name in _FIELDS, f"the field {name}")
        own, read = _FIELDS[name]
        found[own] = found.get(own, ()) + read(member) if own == "resources" else read(member)
    for name, made in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        generators += (_generator(each, made, general) for each in _list(said.get(name, [])))
    return Kustomization(kind=kind, features=features, generators=tuple(generators), **found)


def _features(said: Mapping[str, Any]) -> Iterable[str]:
    """Yield the fields that are used, with those of their entries: what may differ must have a name of its own."""
    for name, member in said.items():
        yield name
        for each in member if isinstance(member, list) else ():
            for key, value in each.items() if isinstance(each, dict) else ():
                yield f"{name}.{key}"
                inner = value if isinstance(value, dict) and key != "pairs" else {}
                yield from (f"{name}.{key}.{part}" for part in inner)
                if key in {"behavior", "includeSelectors", "includeTemplates"}:
                    yield f"{name}.{key}={value}"


def _list(value: Any) -> list[Any]:
    need(isinstance(value, list), "no list")
    found: list[Any] = value
    return found


def _strings(value: Any) -> tuple[str, ...]:
    for each in _list(value):
        need(isinstance(each, str) and each, "no text")
    return tuple(value)


def _fields(value: Any, **kinds: type) -> dict[str, Any]:
    """Return a mapping if it holds nothing but these fields, each of its kind."""
    need(isinstance(value, dict), "no mapping")
    for name, member in value.items():
        need(name in kinds and member.__class__ is kinds[name], f"the field {name}")
    return dict(value)


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def checked(value: Any) -> str:
        need(isinstance(value, str) and pattern.fullmatch(value), f"{value!r} is of another form")
        return str(value)

    return checked


def _labels(value: Any) -> tuple[Labels, ...]:
    found = []
    for each in _list(value):
        entry = _fields(each, pairs=dict, includeSelectors=bool, includeTemplates=bool)
        pairs = texts(entry.get("pairs"))
        found.append(Labels(pairs, entry.get("includeSelectors", False), entry.get("includeTemplates", False)))
    return tuple(found)


def _images(value: Any) -> tuple[Image, ...]:
    found = []
    for each in _list(value):
        entry = _fields(each, name=str, newName=str, newTag=str, digest=str, tagSuffix=str)
        checks = {"name": _IMAGE, "newName": _IMAGE, "newTag": _TAG, "digest": _DIGEST, "tagSuffix": _SUFFIX}
        need("name" in entry and all(checks[key].fullmatch(text) for key, text in entry.items()), "such an image")
        found.append(
            Image(
                entry["name"],
                entry.get("newName", ""),
                entry.get("newTag", ""),
                entry.get("digest", ""),
                entry.get("tagSuffix", ""),
            )
        )
    return tuple(found)


def _replicas(value: Any) -> tuple[tuple[str, int], ...]:
    found = []
    for each in _list(value):
        entry = _fields(each, name=str, count=int)
        need(len(entry) == 2 and 0 <= entry["count"] < 1 << 31, "such replicas")
        found.append((plain(entry["name"]), entry["count"]))
    return tuple(found)


def _patches(value: Any) -> tuple[Patch, ...]:
    found = []
    for each in _list(value):
        entry = _fields(each, path=str, patch=str, target=dict)
        path, text = entry.get("path", ""), entry.get("patch", "")
        need(bool(path) != bool(text.strip()), "a patch of both or of nothing")
        found.append(Patch(path, text, _target(entry["target"]) if "target" in entry else None))
    return tuple(found)


def _target(value: Any) -> Target:
    names = ("group", "version", "kind", "name", "namespace")
    entry = _fields(value, **dict.fromkeys((*names, "labelSelector", "annotationSelector"), str))
    need(all(_is_pattern(entry.get(name, "")) for name in names), "such a target")
    selectors = entry.get("labelSelector", ""), entry.get("annotationSelector", "")
    need(all(not each or re.fullmatch(f"(?:{_SELECTOR.pattern})+", each) for each in selectors), "such a selector")
    return Target(**{name: entry.get(name, "") for name in names}, labels=selectors[0], annotations=selectors[1])


def _is_pattern(text: str) -> bool:
    try:
        return _PATTERN.fullmatch(text) is not None and re.compile(text) is not None
    except re.error:
        return False


def _options(value: Any) -> Options:
    entry = _fields(value, labels=dict, annotations=dict, disableNameSuffixHash=bool, immutable=bool)
    return Options(
        texts(entry.get("labels", {})),
        texts(entry.get("annotations", {})),
        entry.get("disableNameSuffixHash", False),
        entry.get("immutable", False),
    )


def _generator(value: Any, kind: str, general: Options) -> Generator:
    kinds: dict[str, type] = dict.fromkeys(("name", "namespace", "behavior", "env"), str)
    kinds |= dict.fromkeys(("envs", "literals", "files"), list) | {"options": dict}
    entry = _fields(value, **kinds, **({"type": str} if kind == "Secret" else {}))
    need(entry.get("behavior", "create") in {"create", "merge", "replace"}, "such a behavior")
    return Generator(
        kind=kind,
        name=plain(entry.get("name")),
        namespace=plain(entry["namespace"]) if "namespace" in entry else "",
        behavior=entry.get("behavior", "create"),
        type=entry.get("type") or "Opaque",
        envs=(*_strings(entry.get("envs", [])), *([entry["env"]] if entry.get("env") else [])),
        literals=_strings(entry.get("literals", [])),
        files=_strings(entry.get("files", [])),
        options=_options(entry.get("options", {})).under(general),
    )


_NAME_PART = _matching(re.compile(r"[A-Za-z0-9.-]*"))
_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "resources": ("resources", _strings),
    "bases": ("resources", _strings),
    "components": ("components", _strings),
    "namespace": ("namespace", plain),
    "namePrefix": ("prefix", _NAME_PART),
    "nameSuffix": ("suffix", _NAME_PART),
    "labels": ("labels", _labels),
    "commonLabels": ("common_labels", texts),
    "commonAnnotations": ("annotations", texts),
    "images": ("images", _images),
    "replicas": ("replicas", _replicas),
    "patchesStrategicMerge": ("merges", _strings),
    "patches": ("patches", _patches),
    "patchesJson6902": ("json_patches", _patches),
}


def documents_of(parsed: list[Any]) -> Any:
    """Return the only document of a kustomization's file."""
    if len(parsed) != 1:
        outside("a kustomization of several documents")
    return parsed[0]
