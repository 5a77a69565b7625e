"""Make the Applications that an ApplicationSet makes, from what is in the repository and which clusters are known."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from services.cli.imports.argocd_templates import NotFilledError, filled
from services.cli.imports.model import ClusterFound
from services.cli.imports.naming import usable
from services.cli.imports.places import files_below, folders_below
from shared.core.kubeyaml import documents
from shared.core.trees import Tree
from shared.errors import FindingsError

IN_CLUSTER = "in-cluster"
HERE = "https://kubernetes.default.svc"


class NotConvertedError(ValueError):
    """A generator that needs what is not in the repository; `at` is its field."""

    def __init__(self, message: str, at: tuple[str | int, ...], hint: str) -> None:
        super().__init__(message)
        self.at = at
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Made:
    """The parameters of one Application."""

    parameters: Mapping[str, Any]
    labels: Mapping[str, tuple[str, ...]] | None = None
    """The labels by which its cluster was chosen, where it was."""
    own: tuple[str, ...] = ()
    """The folders and files of git that it was made for."""
    element: tuple[str, ...] = ()
    """What the elements of a list say."""


@dataclass(frozen=True, slots=True)
class Generators:
    """What generators may use."""

    tree: Tree
    clusters: Sequence[ClusterFound]
    servers: Mapping[str, str]
    """Addresses of clusters by name."""

    def all_of(self, generators: Sequence[Mapping[str, Any]], at: tuple[str | int, ...]) -> Iterator[Made]:
        """Yield what the generators of a list make.

        Raises:
            NotConvertedError: one needs what is not here.
        """
        for index, each in enumerate(generators):
            yield from self._one(each, (*at, index), {})

    def _one(self, generator: Mapping[str, Any], at: tuple[str | int, ...], known: Mapping[str, Any]) -> Iterator[Made]:
        kind = next((each for each in generator if each not in {"selector", "template"}), "")
        makers = {"list": self._list, "clusters": self._clusters, "git": self._git, "matrix": self._matrix}
        if "selector" in generator:
            raise NotConvertedError(
                "filters what a generator makes", (*at, "selector"), "leave out the filtered yourself"
            )
        if kind not in makers:
            hint = "write one app for each of what it makes, or one app with layers and targets"
            raise NotConvertedError(f"uses the generator {kind!r}, which asks others than git", (*at, kind), hint)
        try:
            wanted = filled(generator[kind] or {}, known) if known else generator[kind] or {}
        except NotFilledError:
            wanted = generator[kind] or {}
        if "template" in wanted:
            raise NotConvertedError(
                "has a generator with a template of its own", (*at, kind, "template"), "write that app yourself"
            )
        yield from makers[kind](wanted, (*at, kind))

    def _list(self, wanted: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Made]:
        if "elementsYaml" in wanted:
            raise NotConvertedError("computes its elements", (*at, "elementsYaml"), "write them out")
        for each in wanted.get("elements") or ():
            yield Made(each, element=tuple(f"{key}={value}" for key, value in sorted(each.items())))

    def _clusters(self, wanted: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Made]:
        selector = wanted.get("selector") or {}
        if selector.get("matchExpressions"):
            text = "chooses clusters by expressions"
            raise NotConvertedError(
                text, (*at, "selector", "matchExpressions"), "give these clusters a label, and choose by that"
            )
        labels = {str(key): (str(value),) for key, value in (selector.get("matchLabels") or {}).items()}
        labels.pop("argocd.argoproj.io/secret-type", None)
        chosen = [
            each for each in self.clusters if all(each.labels.get(key) in values for key, values in labels.items())
        ]
        if not chosen:
            text = "chooses clusters, and none is known here that fits"
            raise NotConvertedError(text, at, "say which there are: --cluster NAME,label=value")
        for each in chosen:
            server = self.servers.get(each.name, f"https://{each.name}")
            parameters = {"name": each.name, "nameNormalized": usable(each.name), "server": server}
            metadata = {"labels": dict(each.labels), "annotations": {}}
            flat = {f"metadata.labels.{key}": value for key, value in each.labels.items()}
            values = filled(wanted.get("values") or {}, {**parameters, **flat, "metadata": metadata})
            yield Made({**parameters, **flat, "metadata": metadata, "values": values}, labels)

    def _git(self, wanted: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Made]:
        if wanted.get("directories"):
            yield from self._directories(wanted["directories"])
        elif wanted.get("files"):
            yield from self._files([str(each.get("path")) for each in wanted["files"]])
        else:
            raise NotConvertedError("reads git for neither directories nor files", at, "write its apps yourself")

    def _directories(self, patterns: Sequence[Mapping[str, Any]]) -> Iterator[Made]:
        for folder in folders_below(self.tree, ""):
            hits = [bool(each.get("exclude")) for each in patterns if _fits(folder, str(each.get("path")))]
            if hits and not any(hits):
                yield Made(_of_path(folder, folder), own=(folder,))

    def _files(self, patterns: Sequence[str]) -> Iterator[Made]:
        for file in files_below(self.tree, ""):
            if not any(_fits(file, each) for each in patterns):
                continue
            try:
                read = documents(self.tree.read(file), file)
            except FindingsError as error:
                raise NotConvertedError(f"reads {file}, which is no YAML", (), "correct it") from error
            for each in read:
                for value in each.value if isinstance(each.value, list) else [each.value]:
                    if isinstance(value, Mapping):
                        of_path = _of_path(posixpath.dirname(file), file)
                        yield Made({**_flat("", value), **value, **of_path}, own=(file,))

    def _matrix(self, wanted: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Made]:
        first, *others = wanted.get("generators") or ({},)
        for one in self._one(first, (*at, "generators", 0), {}):
            for index, generator in enumerate(others, start=1):
                for other in self._one(generator, (*at, "generators", index), one.parameters):
                    labels = one.labels if one.labels is not None else other.labels
                    parameters = {**one.parameters, **other.parameters}
                    yield Made(parameters, labels, (*one.own, *other.own), (*one.element, *other.element))


def _of_path(folder: str, path: str) -> dict[str, Any]:
    """Return what a path gives as parameters, in both dialects."""
    parts, base = folder.split("/"), posixpath.basename(folder)
    nested = {
        "path": folder,
        "basename": base,
        "basenameNormalized": usable(base),
        "filename": posixpath.basename(path),
        "segments": parts,
    }
    flat = {f"path.{key}": value for key, value in nested.items() if key not in {"path", "segments"}}
    # In the old dialect `path` is a text, in the new one a mapping.
    return {"path": nested, **flat, **{f"path[{index}]": part for index, part in enumerate(parts)}}


def _flat(prefix: str, value: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        found |= _flat(f"{prefix}{key}.", each) if isinstance(each, Mapping) else {f"{prefix}{key}": each}
    return found


def _fits(path: str, pattern: str) -> bool:
    """Tell whether a pattern means a path; `*` stays within a folder, `**` does not."""
    pattern = re.sub(r"^(\./|/)+", "", pattern).rstrip("/")
    if "**" in pattern:
        return fnmatchcase(path, pattern.replace("**/", "*").replace("**", "*"))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
