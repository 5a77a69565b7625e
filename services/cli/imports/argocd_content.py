"""Say what an Application is made of: a chart, a kustomization or plain files, and what Argo CD adds to it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from services.cli.imports.flux_charts import ANY
from services.cli.imports.flux_releases import NOT_HERE, TO_PROVE
from services.cli.imports.model import Absent, Charted, Kustomized, Listed, Original
from services.cli.imports.notes import Told
from services.cli.imports.places import files_at
from services.renderer.engines.charts import merged
from services.renderer.layers import joined
from services.renderer.reach import Reach
from shared.core.kubeyaml import documents
from shared.core.trees import Tree
from shared.errors import FindingsError
from shared.fleet.formats import CHART, YAML
from shared.fleet.read import is_file

GROUP = "argoproj.io"
_KUSTOMIZE = ("namePrefix", "nameSuffix", "namespace", "patches", "components", "replicas")
_IMAGE = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<new>[^@]+?)(?::(?P<tag>[^:/@]+))?(?:@(?P<digest>.+))?")


def is_argo(value: Any) -> bool:
    """Tell whether a value is an object that Argo CD itself acts upon."""
    kinds = {"Application", "ApplicationSet", "AppProject"}
    return (
        isinstance(value, Mapping)
        and str(value.get("apiVersion")).startswith(f"{GROUP}/")
        and value.get("kind") in kinds
    )


@dataclass(frozen=True, slots=True)
class Content:
    """What an app is made of."""

    original: Original
    kustomization: Mapping[str, Any] | None = None
    plain: tuple[str, ...] = ()
    helm: Mapping[str, Any] | None = None
    layers: tuple[str, ...] = ()
    values: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    made_of: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)
    """Files that the other tool would make, by path."""


class Contents:
    """The sources of Applications, as one repository has them."""

    def __init__(self, tree: Tree, url: str) -> None:
        self._tree = tree
        self._url = url.removesuffix(".git")
        self._reach = Reach(tree)

    def is_here(self, source: Mapping[str, Any]) -> bool:
        """Tell whether a source is this repository: its address says so, or its path is there."""
        if source.get("chart"):
            return False
        if self._url:
            return str(source.get("repoURL") or "").removesuffix(".git") == self._url
        return bool(source.get("ref")) or self._tree.entry(joined("", str(source.get("path") or "."))) is not None

    def of(self, source: Mapping[str, Any], name: str, namespace: str, told: Told) -> Content | None:
        """Return what a source is, or None where that cannot be said."""
        path = joined("", str(source.get("path") or "."))
        if source.get("plugin"):
            told(("plugin",), "is made by a plugin", "commit what it makes")
            return None
        if source.get("chart"):
            return self._remote_chart(source, name, told)
        if not self.is_here(source):
            return self._elsewhere(source, path, name, told)
        return self._here(source, path, name, namespace, told)

    def _here(self, source: Mapping[str, Any], path: str, name: str, namespace: str, told: Told) -> Content | None:
        if self._tree.entry(path) is None:
            told(("path",), f"has the path {source.get('path')!r}, which is not there", "see whether it was moved")
            return None
        if source.get("helm") or is_file(self._tree, joined(path, CHART)):
            return self._chart(source, path, name, namespace, told)
        if self._reach.kustomization(path) is not None:
            return self._kustomization(source, path, namespace, told)
        return self._files(source.get("directory") or {}, path, namespace, told)

    def _remote_chart(self, source: Mapping[str, Any], name: str, told: Told) -> Content:
        url = str(source.get("repoURL") or "").rstrip("/")
        address = url if "://" in url else f"oci://{url}"
        helm = source.get("helm") or {}
        said = {"repo": address, "chart": str(source["chart"]), "version": str(source.get("targetRevision") or ANY)}
        files = self._value_files(helm, "", told)
        values = _values(helm, told)
        return Content(Absent(TO_PROVE), helm={**said, **_said(helm, name)}, layers=files, values=values, made_of=files)

    def _elsewhere(self, source: Mapping[str, Any], path: str, name: str, told: Told) -> Content:
        revision = str(source.get("targetRevision") or "")
        place = {"repo": str(source.get("repoURL")), **({"ref": revision} if revision not in {"", "HEAD"} else {})}
        helm = source.get("helm")
        if source.get("kustomize"):
            told(("kustomize",), "adds to a kustomization of another repository, which an app cannot", "add it there")
        said = None
        if helm:
            if helm.get("valueFiles"):
                told(("helm", "valueFiles"), "names values files of another repository", "write them as layers")
            values = _values(helm, told)
            said = {"chart": ".", **_said(helm, name), **({"values": values} if values else {})}
        return Content(Absent(NOT_HERE), source={**place, **({"path": path} if path else {})}, helm=said)

    def _chart(self, source: Mapping[str, Any], path: str, name: str, namespace: str, told: Told) -> Content:
        helm = source.get("helm") or {}
        files, values = self._value_files(helm, path, told), _values(helm, told)
        said = {"path": path, **_said(helm, name)}
        original = Charted(path, said["release"], namespace, files, values)
        return Content(original, helm=said, layers=files, values=values, made_of=(path, *files))

    def _value_files(self, helm: Mapping[str, Any], path: str, told: Told) -> tuple[str, ...]:
        found = []
        for index, each in enumerate(helm.get("valueFiles") or ()):
            text = str(each)
            # `$name/...` begins at the root of another source, which is this repository here.
            file = joined("", text.partition("/")[2]) if text.startswith("$") else joined(path, text)
            file = joined("", text) if text.startswith("/") else file
            if is_file(self._tree, file):
                found.append(file)
            elif not helm.get("ignoreMissingValueFiles"):
                told(("helm", "valueFiles", index), f"names {text!r}, which is not there", "see whether it was moved")
        return tuple(found)

    def _kustomization(self, source: Mapping[str, Any], path: str, namespace: str, told: Told) -> Content:
        said = source.get("kustomize") or {}
        fields = {name: said[name] for name in _KUSTOMIZE if said.get(name)}
        if said.get("images"):
            fields["images"] = [_image(str(each)) for each in said["images"]]
        if said.get("commonLabels"):
            selectors = not said.get("labelWithoutSelector")
            fields["labels"] = [{"pairs": dict(said["commonLabels"]), "includeSelectors": selectors}]
        if said.get("commonAnnotations"):
            fields["commonAnnotations"] = dict(said["commonAnnotations"])
        for each in sorted(
            set(said) - {*_KUSTOMIZE, "images", "commonLabels", "commonAnnotations", "version"} - _FLAGS
        ):
            told(("kustomize", each), f"sets {each} of its kustomization", "say it in the kustomization itself")
        own = dict(fields)
        components = [joined(path, each) for each in own.pop("components", ())]
        wrapped = {"resources": [path], **({"components": components} if components else {}), **own}
        reads = self._reach.of((path, *components))
        return Content(Kustomized(path, namespace, fields), kustomization=wrapped, made_of=reads)

    def _files(self, directory: Mapping[str, Any], path: str, namespace: str, told: Told) -> Content | None:
        if directory.get("jsonnet"):
            told(("directory", "jsonnet"), "is written in jsonnet", "commit what it gives")
            return None
        chosen = tuple(each for each in files_at(self._tree, path) if self._is_chosen(each, path, directory))
        if not chosen:
            return None
        # The folder itself says it where all of it counts.
        is_all = set(chosen) == {each for each in files_at(self._tree, path) if each.endswith(YAML)}
        plain = (path,) if is_all and path else chosen
        return Content(Listed(chosen, namespace), plain=plain, made_of=chosen)

    def _is_chosen(self, file: str, path: str, directory: Mapping[str, Any]) -> bool:
        relative = posixpath.relpath(file, path or ".")
        if not file.endswith((*YAML, ".json")) or ("/" in relative and not directory.get("recurse")):
            return False
        include, exclude = str(directory.get("include") or ""), str(directory.get("exclude") or "")
        if (include and not _fits(relative, include)) or (exclude and _fits(relative, exclude)):
            return False
        return not self._is_argo(file)

    def _is_argo(self, file: str) -> bool:
        """Tell whether a file holds nothing but what Argo CD itself reads."""
        try:
            found = [each.value for each in documents(self._tree.read(file), file)]
        except FindingsError:
            return False
        return all(map(is_argo, found))


_FLAGS = frozenset({"labelWithoutSelector", "forceCommonLabels", "forceCommonAnnotations", "commonAnnotationsEnvsubst"})


def _said(helm: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"release": str(helm.get("releaseName") or name)}
    if helm.get("kubeVersion"):
        found["kubeVersion"] = str(helm["kubeVersion"])
    if helm.get("apiVersions"):
        found["apiVersions"] = list(helm["apiVersions"])
    return found


def _values(helm: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Return the values that an Application itself says, in the order in which they count."""
    found: dict[str, Any] = {}
    if isinstance(helm.get("values"), str):
        try:
            read = documents(helm["values"].encode(), "values")
        except FindingsError:
            told(("helm", "values"), "has values that are no YAML", "correct them")
            read = []
        found = read[0].value if read and isinstance(read[0].value, dict) else {}
    if isinstance(helm.get("valuesObject"), Mapping):
        found = dict(helm["valuesObject"])
    for index, each in enumerate(helm.get("parameters") or ()):
        name = str(each.get("name"))
        if re.search(r"[\[\]\\,{]", name) or str(each.get("value"))[:1] == "{":
            at = ("helm", "parameters", index)
            told(at, f"sets the parameter {name!r}, which is more than a path", "write it to values.yaml of the app")
            continue
        found = merged(found, _nested(name.split("."), _typed(each)))
    for each in ("fileParameters", "skipCrds", "skipTests"):
        if helm.get(each):
            told(("helm", each), f"sets {each}", "say it in the values of the chart")
    return found


def _typed(parameter: Mapping[str, Any]) -> Any:
    """Return a parameter's value as Helm's `--set` takes it."""
    text = str(parameter.get("value", ""))
    if parameter.get("forceString"):
        return text
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    # As Helm has it: what begins with a zero stays a text.
    return int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else text


def _nested(steps: Sequence[str], value: Any) -> dict[str, Any]:
    return {steps[0]: value if len(steps) == 1 else _nested(steps[1:], value)}


def _image(text: str) -> dict[str, str]:
    """Return `name=new:tag@digest` as kustomize writes it in its file."""
    found = _IMAGE.fullmatch(text)
    if found is None:
        return {"name": text}
    name = found["name"] or found["new"]
    image = {"name": name}
    if found["new"] != name:
        image["newName"] = found["new"]
    if found["digest"]:
        image["digest"] = found["digest"]
    elif found["tag"]:
        image["newTag"] = found["tag"]
    return image


def _fits(path: str, pattern: str) -> bool:
    """Tell whether a pattern of a directory, `{a,b}` among them, means a file."""
    many = re.fullmatch(r"\{(.*)\}", pattern)
    return any(fnmatchcase(path, each.strip()) for each in (many[1].split(",") if many else [pattern]))
