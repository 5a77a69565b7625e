"""Decide what an app is made of for a set of layers: which engine, and the files that it reads."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.renderer.capabilities import Asked, asked
from services.renderer.inputs import NEWEST, AppInputs, Engine, minor_of
from services.renderer.layers import CLUSTER, Layers, joined
from services.renderer.reach import Reach, outermost
from services.renderer.variables import named, variables_of
from shared.core.canonical import encode
from shared.core.trees import EntryKind, Tree
from shared.errors import Finding, FindingsError
from shared.fleet.formats import ARCHIVES, CHART, YAML
from shared.fleet.model import App, Cluster
from shared.fleet.read import is_file, yaml_files

_Found = Sequence[tuple[int, str]]
_Kubernetes = tuple[str, tuple[str, ...]]
"""Its version, and the API versions that it has besides its own."""


class Content:
    """An app's content in the tree that holds it."""

    def __init__(self, app: App, tree: Tree, folder: str, reach: Reach, archive: str = "") -> None:
        """Make the content of an app whose files are in `folder`; `archive` is its chart, where that is not among them."""
        self._app = app
        self._archive = archive
        self._tree = tree
        self._folder = folder
        self._reach = reach
        self._layers = Layers(tree, folder, app.written.layers)
        self._known: dict[object, AppInputs | FindingsError] = {}
        self._asked: dict[object, Asked] = {}
        self._named: dict[object, set[str]] = {}
        """The variables that the files of some layers name."""
        self._filled: dict[tuple[object, str], AppInputs] = {}
        self._possible = tuple(self._layers.possible())
        self.used: set[int] = set()
        """The positions of layers that some cluster got."""
        self.engine = self._engine()

    def inputs(self, cluster: Cluster) -> AppInputs:
        """Return what the engine needs for `cluster`; clusters with the same layers get the same value.

        Raises:
            FindingsError: the app has no content for this cluster.
        """
        # The cluster's own name wins over a label of that name.
        layers = self._layers.of({**cluster.labels, CLUSTER: cluster.name})
        self.used.update(index for index, _ in layers)
        values = self._values(cluster)
        kubernetes = self._kubernetes(cluster, layers)
        schemas = "" if self._app.written.checks == "none" else minor_of(cluster.kube_version) or NEWEST
        key = (layers, values, kubernetes, schemas)
        if key not in self._known:
            try:
                self._known[key] = replace(self._made(layers, values, kubernetes), schemas=schemas)
            except FindingsError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, FindingsError):
            raise found
        return self._with_variables(found, key, cluster)

    def unused(self) -> list[Finding]:
        """Return a warning for each layer that no cluster got."""
        return [
            self._finding(
                "fleet.unused-layer",
                f"no cluster has the layer {pattern!r}",
                index,
                hint="the folder or file is not there, or no cluster has these labels",
                severity="warning",
            )
            for index, pattern in enumerate(self._app.written.layers)
            if index not in self.used
        ]

    def _engine(self) -> Engine:
        written = self._app.written
        for engine in ("helm", "plain", "kustomize"):
            if getattr(written, engine) is not None:
                return engine
        if self._reach.kustomization(self._folder) is not None:
            return "kustomize"
        if is_file(self._tree, joined(self._folder, CHART)):
            return "helm"
        if any(self._reach.kustomization(path) is not None for path in self._possible):
            return "kustomize"
        return "plain"

    def _values(self, cluster: Cluster) -> str:
        """Return what a template may see, or nothing where there is none."""
        if self.engine != "plain" or not (self._app.written.plain and self._app.written.plain.template):
            return ""
        seen = {"name": cluster.name, "labels": dict(cluster.labels), "values": dict(cluster.values)}
        return encode({"cluster": seen}).decode()

    def _kubernetes(self, cluster: Cluster, layers: _Found) -> _Kubernetes:
        """Return what is known about the cluster's Kubernetes, as far as the chart asks for it."""
        helm = self._app.written.helm
        version = (helm and helm.kube_version) or cluster.kube_version
        apis = {*(helm.api_versions if helm else ()), *cluster.api_versions}
        if self.engine != "helm" or not (version or apis):
            return "", ()
        if layers not in self._asked:
            self._asked[layers] = self._asked_by(layers)
        found = self._asked[layers]
        return version if found.version else "", tuple(sorted(apis)) if found.api_versions else ()

    def _asked_by(self, layers: _Found) -> Asked:
        inline = encode(self._app.written.helm.values) if self._app.written.helm else b""
        return asked(self._tree, (self._chart, *(path for _, path in layers)), inline)

    @property
    def _chart(self) -> str:
        helm = self._app.written.helm
        return self._archive or joined(self._folder, helm.chart if helm else ".")

    def _with_variables(self, inputs: AppInputs, key: object, cluster: Cluster) -> AppInputs:
        """Return `inputs` with those variables of the cluster that count, where the app wants some filled in."""
        wanted = self._app.written.substitute
        if wanted is None:
            return inputs
        # What a chart or template writes may name variables that stand in no file.
        is_open = self.engine == "helm" or bool(inputs.template)
        variables = variables_of(cluster, wanted)
        if not is_open:
            if key not in self._named:
                self._named[key] = named(self._tree, inputs.reads)
            variables = {name: variables[name] for name in self._named[key] & variables.keys()}
        text = encode({"open": is_open, "strict": wanted.strict, "vars": variables}).decode()
        return self._filled.setdefault((key, text), replace(inputs, substitute=text))

    def _made(self, layers: _Found, values: str, kubernetes: _Kubernetes) -> AppInputs:
        folder = self._tree.entry(self._folder)
        if folder is None or folder.kind is not EntryKind.FOLDER:
            raise FindingsError([self._finding("fleet.no-folder", f"there is no folder {self._folder!r}")])
        parts: Mapping[str, Any] = (
            self._helm(layers, kubernetes)
            if self.engine == "helm"
            else {"plain": self._plain, "kustomize": self._kustomize}[self.engine](layers)
        )
        return AppInputs(
            app=self._app.name,
            engine=self.engine,
            namespace=self._app.namespace,
            tree=self._tree,
            path=self._folder,
            template="jinja" if values else "",
            values=values,
            strict=self._app.written.checks == "strict",
            **parts,
        )

    def _plain(self, layers: _Found) -> Mapping[str, Any]:
        taken = {*self._possible, *([self._app.file] if self._app.file.endswith(YAML) else [])}
        base = tuple(path for path in yaml_files(self._tree, self._folder) if not _within(path, taken))
        groups = (base, *(self._files(path) for _, path in layers))
        if not any(groups):
            text = f"there are no YAML files in {self._folder or 'the repository'}"
            raise FindingsError([self._finding("fleet.no-manifests", text, hint="add one, or remove the app")])
        return {
            "files": groups,
            "layers": tuple(path for _, path in layers),
            "reads": outermost(path for group in groups for path in group),
        }

    def _files(self, layer: str) -> tuple[str, ...]:
        return (layer,) if is_file(self._tree, layer) else tuple(yaml_files(self._tree, layer))

    def _kustomize(self, layers: _Found) -> Mapping[str, Any]:
        empty = [(index, path) for index, path in layers if self._reach.kustomization(path) is None]
        if empty:
            raise FindingsError(
                [
                    self._finding("render.no-kustomization", f"the layer {path} has no kustomization", index)
                    for index, path in empty
                ]
            )
        overlays = [(index, path) for index, path in layers if not self._reach.is_component(path)]
        if len(overlays) > 1:
            names = " and ".join(path for _, path in overlays)
            text = f"{names} are both a Kustomization, and only one layer can be"
            hint = "make the others a Component: `kind: Component`"
            raise FindingsError([self._finding("fleet.two-overlays", text, overlays[1][0], hint=hint)])
        if not overlays and self._reach.kustomization(self._folder) is None:
            text = f"there is no kustomization in {self._folder or 'the repository'}"
            text += " and none of the layers is there for this cluster" if self._app.written.layers else ""
            hint = "add a kustomization.yaml, or narrow the app's targets"
            raise FindingsError([self._finding("render.no-kustomization", text, hint=hint)])
        root = overlays[0][1] if overlays else self._folder
        added = tuple(path for _, path in layers if path != root)
        return {"root": root, "layers": added, "reads": self._reach.of((root, *added))}

    def _helm(self, layers: _Found, kubernetes: _Kubernetes) -> Mapping[str, Any]:
        helm = self._app.written.helm
        root = self._chart
        is_chart = is_file(self._tree, root) if root.endswith(ARCHIVES) else is_file(self._tree, joined(root, CHART))
        findings = [
            self._finding("fleet.bad-layer", f"the layer {path} is a folder, a chart takes files of values", index)
            for index, path in layers
            if not is_file(self._tree, path)
        ]
        if not is_chart:
            findings.append(self._finding("render.no-chart", f"there is no chart in {root or 'the repository'}"))
        if findings:
            raise FindingsError(findings)
        parameters = {
            "release": (helm and helm.release) or self._app.name,
            "kubeVersion": kubernetes[0],
            "apiVersions": kubernetes[1],
            "values": helm.values if helm else {},
            "allowNondeterministic": bool(helm and helm.allow_nondeterministic),
        }
        files = tuple(path for _, path in layers)
        return {
            "root": root,
            "layers": files,
            "reads": outermost((root, *files)),
            "parameters": encode(parameters).decode(),
        }

    def _finding(
        self, code: str, message: str, layer: int | None = None, *, hint: str = "", severity: str = "error"
    ) -> Finding:
        """Return a finding at the place of a layer, or of the app."""
        app = self._app
        line, column = (app.line, app.column) if layer is None else app.layer_places[layer]
        return Finding(code, message, app.file, line, column, hint, app=app.name, severity=severity)


def _within(path: str, taken: set[str]) -> bool:
    """Tell whether `path` or a folder that it is in stands in `taken`."""
    while path:
        if path in taken:
            return True
        path = posixpath.dirname(path)
    return False
