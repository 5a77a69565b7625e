"""Say what an engine needs to make the objects of a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.core.canonical import digest, encode
from shared.core.trees import EntryKind, Tree

Engine = Literal["plain", "kustomize", "helm"]


NEWEST = "newest"
_MINOR = re.compile(r"v?(\d+\.\d+)")


def minor_of(version: str) -> str:
    """Return the part of a version of Kubernetes that decides about its APIs: all that has the same shares a render."""
    found = _MINOR.match(version)
    return found[1] if found else ""


@dataclass(frozen=True)
class AppInputs:
    """Everything that an engine needs for one target; equal keys mean equal results, so each key is rendered once.

    All paths are within `tree`, without a leading slash; every path named here was seen to exist.
    """

    app: str
    engine: Engine
    namespace: str
    """The namespace of objects that name none; never empty."""
    tree: Tree
    path: str
    """The app's folder: that of `app.yaml`, or the path in the other repository that it names."""
    reads: tuple[str, ...]
    """Files and folders that the engine may see, sorted, none inside another: plain: its YAML files; kustomize: the
    root and every folder that it reaches; helm: the chart and the values files."""
    layers: tuple[str, ...] = ()
    """Existing layers in order, later wins. plain: files or folders, each listed in `files`; kustomize: components
    to add to `root`; helm: values files."""
    files: tuple[tuple[str, ...], ...] = ()
    """plain only: the YAML files of the app's base and of each layer, in order; equal objects of a later group replace."""
    root: str = ""
    """kustomize: the folder to build; helm: the folder or the `.tgz` of the chart."""
    template: Literal["", "jinja"] = ""
    values: str = ""
    """What a template may see, in canonical JSON: `{"cluster": {"labels", "name", "values"}}`; empty without template."""
    substitute: str = ""
    """The variables that are filled in, in canonical JSON: `{"open", "strict", "vars"}`; empty where none
    are. Open: all variables are there, else only those that the files name."""
    schemas: str = ""
    """The version of Kubernetes by whose schemas objects are checked, `1.36`, `newest` or empty for none."""
    strict: bool = False
    """What the schemas refuse forbids the bundle."""
    parameters: str = ""
    """helm: canonical JSON of `{"release", "kubeVersion", "apiVersions", "values", "allowNondeterministic"}`."""

    @cached_property
    def key(self) -> str:
        """The sha256 over what it reads and its parameters; tool versions are the engines' part."""
        seen = {}
        for path in self.reads:
            entry = self.tree.entry(path)
            seen[path] = (entry.kind, entry.id) if entry else (EntryKind.FILE, "")
        engine = [
            self.engine,
            self.path,
            self.root,
            self.layers,
            self.files,
            self.template,
            self.values,
            self.substitute,
        ]
        return digest(encode([engine, self.namespace, self.parameters, self.schemas, self.strict, seen]))
