"""Say what a bundle of Rancher's Fleet is made of on a cluster: a chart, a kustomization or plain files with overlays."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from services.cli.imports.argocd_content import Content
from services.cli.imports.flux_charts import ANY
from services.cli.imports.flux_releases import TO_PROVE
from services.cli.imports.model import Absent, Charted, ClusterFound, Kustomized, Listed
from services.cli.imports.notes import Told
from services.cli.imports.places import files_at
from services.cli.imports.text import KUSTOMIZATION, yaml_text
from services.renderer.layers import joined
from services.renderer.reach import Reach
from shared.core.trees import Tree
from shared.fleet.formats import CHART, KUSTOMIZATIONS, YAML
from shared.fleet.read import is_file

_LABEL = re.compile(r"\$\{\s*\.ClusterLabels\.([\w-]+)\s*\}")
_OVERLAYS = "overlays"


class Contents:
    """The bundles of one repository."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._reach = Reach(tree)

    def of(self, path: str, said: Mapping[str, Any], name: str, cluster: ClusterFound, told: Told) -> Content | None:
        """Return what a bundle is made of, or None where that cannot be said."""
        helm = said.get("helm") or {}
        namespace = str(said.get("namespace") or said.get("defaultNamespace") or "default")
        if helm.get("chart") or helm.get("repo") or is_file(self._tree, joined(path, CHART)):
            return self._chart(path, helm, name, namespace, cluster, told)
        folder = joined(path, str((said.get("kustomize") or {}).get("dir") or "."))
        if self._reach.kustomization(folder) is not None:
            return self._kustomization(folder, said, namespace)
        return self._files(path, said, namespace, told)

    def _chart(  # noqa: PLR0917  # what it is, where, for whom
        self, path: str, helm: Mapping[str, Any], name: str, namespace: str, cluster: ClusterFound, told: Told
    ) -> Content | None:
        files = tuple(joined(path, str(each)) for each in helm.get("valuesFiles") or ())
        values = self._values(helm, cluster, told)
        release = str(helm.get("releaseName") or name)
        for each, hint in (
            ("valuesFrom", "write them to values.yaml of the app"),
            ("templateValues", "write them out"),
        ):
            if helm.get(each):
                told(("helm", each), f"has {each}", hint)
        chart = str(helm.get("chart") or ".")
        place = joined(path, chart)
        if not helm.get("repo") and is_file(self._tree, joined(place, CHART)):
            original = Charted(place, release, namespace, files, values)
            said = {"path": place, "release": release}
            return Content(original, helm=said, layers=files, values=values, made_of=(place, *files))
        repository, _, chart_name = (
            chart.rpartition("/") if "://" in chart else (str(helm.get("repo") or ""), "", chart)
        )
        if not repository or chart.endswith((".tgz", ".git")):
            told(("helm", "chart"), f"takes its chart from {chart!r}", "name a chart repository, or vendor the chart")
            return None
        version = str(helm.get("version") or ANY)
        said = {"repo": repository.rstrip("/"), "chart": chart_name, "version": version, "release": release}
        return Content(Absent(TO_PROVE), helm=said, layers=files, values=values, made_of=files)

    def _values(self, helm: Mapping[str, Any], cluster: ClusterFound, told: Told) -> dict[str, Any]:
        """Return the values of a bundle with the labels of the cluster filled in."""
        if helm.get("disablePreProcess"):
            return dict(helm.get("values") or {})

        def filled(value: Any) -> Any:
            if isinstance(value, str):
                text = _LABEL.sub(lambda found: cluster.labels.get(found[1], ""), value)
                if "${" in text:
                    told(("helm", "values"), f"computes a value: {text!r}", "write it out, or use labels in layers")
                return text
            if isinstance(value, Mapping):
                return {key: filled(each) for key, each in value.items()}
            return [filled(each) for each in value] if isinstance(value, list) else value

        return {key: filled(value) for key, value in (helm.get("values") or {}).items()}

    def _kustomization(self, folder: str, said: Mapping[str, Any], namespace: str) -> Content:
        fields = {"namespace": str(said["namespace"])} if said.get("namespace") else {}
        reads = self._reach.of((folder,))
        wrapped = {"resources": [folder], **fields}
        return Content(Kustomized(folder, namespace, fields), kustomization=wrapped, made_of=reads)

    def _files(self, path: str, said: Mapping[str, Any], namespace: str, told: Told) -> Content | None:
        base = [each for each in files_at(self._tree, path) if self._is_base(each, path)]
        overlays = [f"{joined(path, _OVERLAYS)}/{each}" for each in (said.get("yaml") or {}).get("overlays") or ()]
        chosen = {posixpath.relpath(each, path or "."): each for each in base}
        layers = []
        for overlay in overlays:
            for file in files_at(self._tree, overlay):
                if re.search(r"_patch\.ya?ml$", file):
                    told(
                        ("yaml", "overlays"),
                        f"patches objects with {file}",
                        "make the bundle a kustomization with patches",
                    )
                elif file.endswith(YAML):
                    chosen[posixpath.relpath(file, overlay)] = file
                    layers.append(file)
        if not chosen:
            return None
        files = tuple(chosen.values())
        if said.get("namespace"):
            if layers:
                told(
                    ("yaml", "overlays"),
                    "has overlays and a namespace for all objects",
                    "write the namespace into them",
                )
            return self._in_namespace(path, tuple(base), namespace)
        return Content(Listed(files, namespace), plain=(*base, *layers), made_of=(*base, *layers))

    def _in_namespace(self, path: str, files: tuple[str, ...], namespace: str) -> Content:
        """Return files that are brought into one namespace, which takes a kustomization."""
        listed = tuple(posixpath.relpath(each, path or ".") for each in files)
        note = "Made for the namespace that the bundle puts everything into."
        text = yaml_text({**KUSTOMIZATION, "resources": list(listed)}, note)
        fields = {"namespace": namespace}
        return Content(
            Kustomized(path, namespace, fields, listed=listed),
            kustomization={"resources": [path], **fields},
            made_of=files,
            added={joined(path, KUSTOMIZATIONS[0]): text},
        )

    def _is_base(self, file: str, path: str) -> bool:
        relative = posixpath.relpath(file, path or ".")
        return file.endswith(YAML) and relative != "fleet.yaml" and not relative.startswith(f"{_OVERLAYS}/")
