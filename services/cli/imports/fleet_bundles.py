"""Make apps of what Rancher's Fleet deploys: one of each bundle, a folder with a `fleet.yaml` or one that a GitRepo names."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from services.cli.imports.fleet_content import Contents
from services.cli.imports.fleet_options import of_bundle, tell_unknown
from services.cli.imports.fleet_targets import NotUnderstoodError, customized, made_up, means
from services.cli.imports.model import ClusterFound, Draft, Import, Key
from services.cli.imports.naming import free, usable
from services.cli.imports.notes import Notes
from services.cli.imports.places import Places, folders_below, metadata_of, within
from services.cli.imports.shapes import BUNDLE, HINT, misshapen
from services.renderer.layers import joined
from shared.core.kubeyaml import Document, documents
from shared.core.trees import Tree
from shared.errors import Finding, FindingsError
from shared.fleet.read import is_file

GROUP = "fleet.cattle.io"
FILE = "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it is written."""

    path: str
    document: Document | None
    said: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of its app."""
        return usable(posixpath.basename(self.path) or "bundle")

    @property
    def full_name(self) -> str:
        """The end of the name that Fleet gives it, which begins with that of the GitRepo."""
        return re.sub(r"[^a-z0-9]+", "-", self.path.lower()).strip("-")


class Fleet:
    """One repository, read as Rancher's Fleet reads it."""

    def __init__(self, tree: Tree, places: Places, *, clusters: Sequence[ClusterFound] = ()) -> None:
        self._tree = tree
        self._notes = Notes(places)
        self._added: dict[str, str] = {}
        objects = [each for each in places.of_groups(GROUP) if isinstance(each.value, dict)]
        self._repositories = [each for each in objects if each.value.get("kind") == "GitRepo"]
        self._groups = {
            str(metadata_of(each.value).get("name")): (each.value.get("spec") or {}).get("selector") or {}
            for each in objects
            if each.value.get("kind") == "ClusterGroup"
        }
        self._bundles = list(self._found_bundles())
        targets = [
            each
            for repository in self._repositories
            for each in (repository.value.get("spec") or {}).get("targets") or ()
        ]
        known = [*(_cluster(each) for each in objects if each.value.get("kind") == "Cluster"), *clusters]
        self._clusters = known or made_up((each.said for each in self._bundles), targets)
        self._contents = Contents(tree)

    def found(self) -> Import:
        """Return everything that can be taken over, and what cannot."""
        names = self._names()
        drafts = [draft for bundle in self._bundles for draft in self._drafts(bundle, names[bundle.path])]
        for bundle in self._bundles:
            if bundle.document is not None:
                tell_unknown(bundle.said, partial(self._told, bundle))
        for each in self._repositories:
            hint = "name the repository as a source of the hub: `towline hub run --source NAME=URL`"
            self._notes.left_out(each.value, (), "has no counterpart here", hint)
        return Import(tuple(self._clusters), tuple(drafts), added=self._added, findings=self._notes.findings)

    def _found_bundles(self) -> Iterator[Bundle]:
        """Yield the bundles: the folders with a `fleet.yaml`, and those that GitRepos name without one below them."""
        folders = ("", *folders_below(self._tree, ""))
        written = [each for each in folders if is_file(self._tree, joined(each, FILE))]
        for path in written:
            file = joined(path, FILE)
            try:
                found = documents(self._tree.read(file), file)
            except FindingsError as error:
                for each in error.findings:
                    self._notes.add(replace(each, severity="warning", code="import.left-out"))
                continue
            said = found[0].value if found and isinstance(found[0].value, dict) else {}
            bundle = Bundle(path, found[0] if found else None, said)
            if wrong := next(misshapen(said, BUNDLE), None):
                text = f"has another {'.'.join(map(str, wrong))} than Fleet takes"
                self._told(bundle, wrong, text, HINT)
                continue
            yield bundle
        specs = (each.value.get("spec") or {} for each in self._repositories)
        for path in dict.fromkeys(joined("", str(each)) for spec in specs for each in spec.get("paths") or ()):
            if not any(within(other, path) for other in written) and self._tree.entry(path):
                yield Bundle(path, None, {})

    def _names(self) -> dict[str, str]:
        """Return a name for each bundle: the last part of its path, or all of it where two end alike."""
        short = Counter(each.name for each in self._bundles)
        found = {each.path: each.name for each in self._bundles if short[each.name] == 1}
        for each in self._bundles:
            if each.path not in found:
                found[each.path] = free(each.full_name, found.values())
        return found

    def _drafts(self, bundle: Bundle, name: str) -> Iterator[Draft]:
        told = partial(self._told, bundle)
        for cluster in self._clusters:
            try:
                said = customized(bundle.said, cluster, self._groups) if self._is_for(bundle, cluster) else None
            except NotUnderstoodError as error:
                told(
                    ("targetCustomizations",),
                    f"{error}, so it cannot be said which clusters are meant",
                    "say it by labels of clusters",
                )
                return
            if said is None:
                continue
            namespace = str(said.get("namespace") or said.get("defaultNamespace") or "")
            content = self._contents.of(bundle.path, said, name, cluster, told)
            if content is not None:
                self._added |= content.added
                yield Draft(
                    key=("Bundle", "", bundle.path),
                    cluster=cluster.name,
                    name=name,
                    original=content.original,
                    namespace=namespace,
                    kustomization=content.kustomization,
                    plain=content.plain,
                    helm=content.helm,
                    layers=content.layers,
                    values=content.values,
                    source=content.source,
                    sync=of_bundle(said),
                    after=tuple(self._after(bundle)),
                    made_of=content.made_of,
                )

    def _is_for(self, bundle: Bundle, cluster: ClusterFound) -> bool:
        """Tell whether a GitRepo that has the bundle means the cluster; without GitRepos all are meant."""
        owners = [each.value.get("spec") or {} for each in self._repositories]
        owners = [
            each
            for each in owners
            if not each.get("paths") or any(within(bundle.path, joined("", str(path))) for path in each["paths"])
        ]
        targets = [target for each in owners for target in each.get("targets") or ()]
        return not targets or any(means(each, cluster, self._groups) for each in targets)

    def _after(self, bundle: Bundle) -> Iterator[Key]:
        for index, each in enumerate(bundle.said.get("dependsOn") or ()):
            wanted = str(each.get("name") or "")
            found = next(
                (
                    other
                    for other in self._bundles
                    if wanted and (wanted == other.full_name or wanted.endswith(f"-{other.full_name}"))
                ),
                None,
            )
            if found is not None:
                yield "Bundle", "", found.path
            else:
                what = f"depends on {wanted!r}, which is not here" if wanted else "depends on bundles by their labels"
                self._told(bundle, ("dependsOn", index), what, "name the apps in `sync.dependsOn`")

    def _told(self, bundle: Bundle, at: tuple[str | int, ...], message: str, hint: str) -> None:
        line, column = bundle.document.at(at) if bundle.document is not None else (0, 0)
        file = bundle.document.file if bundle.document is not None else bundle.path
        text = f"the bundle {bundle.path or '.'} {message}"
        self._notes.add(Finding("import.left-out", text, file, line, column, hint, severity="warning"))


def _cluster(document: Document) -> ClusterFound:
    metadata = metadata_of(document.value)
    labels = {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()}
    return ClusterFound(usable(str(metadata.get("name"))), labels)
