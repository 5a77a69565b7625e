"""Follow a repository as Flux does: from what a cluster was told to watch, through every Kustomization found on the way.

It asks for builds, a round at a time, and is sent what came out of them, so that it need not build itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.cli.imports import flux_objects as flux
from services.cli.imports.model import Key, Kustomized
from services.cli.imports.naming import usable
from services.cli.imports.notes import Notes
from services.cli.imports.places import Places, within
from services.cli.imports.shapes import FLUX
from services.renderer.layers import joined
from services.renderer.reach import Reach
from shared.core.objects import Manifest
from shared.core.trees import Tree
from shared.errors import Finding

ROOT: Key = ("Cluster", "", "base")
"""What a cluster was told to watch."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a build."""

    objects: tuple[Manifest, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Not empty: it failed."""


Walk = Generator[list[Kustomized], list[Outcome], None]


@dataclass(slots=True)
class Met:
    """A Kustomization of Flux that was met on a cluster."""

    key: Key
    manifest: Mapping[str, Any]
    parent: Key | None
    original: Kustomized | None = None
    """None: its content is not in this repository."""
    objects: tuple[Manifest, ...] = ()
    built: bool = False


@dataclass(slots=True)
class Seen:
    """What was seen on one cluster."""

    name: str
    kustomizations: dict[Key, Met] = field(default_factory=dict)
    releases: dict[Key, tuple[Manifest, Key]] = field(default_factory=dict)
    """HelmReleases, and the Kustomization that each came with."""
    sources: dict[Key, Manifest] = field(default_factory=dict)
    others: list[Manifest] = field(default_factory=list)
    """Objects of Flux that have no counterpart here."""


class Flux:
    """One repository, read as Flux reads it."""

    def __init__(
        self, tree: Tree, places: Places, *, below: str = "", entries: Mapping[str, str] | None = None
    ) -> None:
        self.tree = tree
        self.places = places
        self.notes = Notes(places)
        self._below = below
        self._reach = Reach(tree)
        self._roots = dict(entries or self._entries())
        self.clusters = [Seen(name) for name in self._roots]

    def walk(self) -> Walk:
        """Ask for builds until nothing new turns up; then `clusters` are complete."""
        pending: list[tuple[Seen, Met]] = []
        for seen in self.clusters:
            root = Met(ROOT, {"spec": {"path": self._roots[seen.name]}}, None)
            root.original = self._original(seen, root, self._roots[seen.name])
            seen.kustomizations[root.key] = root
            pending.append((seen, root))
        while pending:
            asked = [(seen, met, met.original) for seen, met in pending if met.original is not None]
            outcomes = yield [original for _, _, original in asked]
            pending = [
                (seen, new)
                for (seen, met, _), outcome in zip(asked, outcomes, strict=True)
                for new in self._met(seen, met, outcome)
            ]
            for seen, new in pending:
                new.original = self._located(seen, new)

    def _met(self, seen: Seen, met: Met, outcome: Outcome) -> Iterator[Met]:
        """Keep what a build gave, and yield the Kustomizations that it brings."""
        met.objects, met.built = outcome.objects, not outcome.findings
        for finding in outcome.findings:
            text = f"{met.key[2]!r} of {seen.name} cannot be built: {finding.message}"
            self.notes.add(replace(finding, code="import.left-out", message=text, severity="warning"))
        for manifest in outcome.objects:
            if not flux.is_flux(manifest) or not self.notes.is_shaped(manifest, FLUX):
                continue
            key = flux.key_of(manifest)
            if key[0] in flux.SOURCES or key[0] == "ArtifactGenerator":
                seen.sources[key] = manifest
            elif key[0] == flux.RELEASE:
                seen.releases.setdefault(key, (manifest, met.key))
            elif key[0] == flux.KUSTOMIZATION and key not in seen.kustomizations and not self._is_root(seen, manifest):
                seen.kustomizations[key] = Met(key, manifest, met.key)
                yield seen.kustomizations[key]
            elif key[0] != flux.KUSTOMIZATION:
                seen.others.append(manifest)

    def _is_root(self, seen: Seen, manifest: Mapping[str, Any]) -> bool:
        """Tell whether a Kustomization is the one that brings the cluster itself."""
        return self.path_of(str(flux.spec_of(manifest).get("path") or "")) == self._roots[seen.name]

    def _located(self, seen: Seen, met: Met) -> Kustomized | None:
        """Return how a Kustomization is built; None where it cannot be from this repository."""
        spec = flux.spec_of(met.manifest)
        path = self.local_path(seen, met.manifest)
        if path is None:
            return None
        if self.tree.entry(path) is None:
            text = f"has the path {spec.get('path')!r}, which is not there"
            first, _, rest = path.partition("/")
            hint = (
                f"say --below {first} if this is that folder of its repository"
                if rest and self.tree.entry(rest)
                else ""
            )
            self.notes.left_out(met.manifest, ("spec", "path"), text, hint)
            return None
        return self._original(seen, met, path)

    def _original(self, seen: Seen, met: Met, path: str) -> Kustomized:
        spec = flux.spec_of(met.manifest)
        common = spec.get("commonMetadata") or {}
        fields = flux.fields_of(spec)
        made = self._reach.kustomization(path) is None
        variables = self._variables(seen, met)
        return Kustomized(
            path,
            str(spec.get("targetNamespace") or "default"),
            fields,
            labels=common.get("labels") or {},
            annotations=common.get("annotations") or {},
            variables=variables,
            listed=flux.listed(self.tree, path) if made else (),
        )

    def _variables(self, seen: Seen, met: Met) -> Mapping[str, str] | None:
        written = flux.spec_of(met.manifest).get("postBuild") or {}
        if not written:
            return None
        found: dict[str, str] = {}
        for index, each in enumerate(written.get("substituteFrom") or ()):
            name = str(each.get("name"))
            text = f"takes variables of the {each.get('kind')} {name!r}, which is not in git"
            hint = "write them to `substitute.vars` of the app, or to the values of the cluster"
            if each.get("kind") == "ConfigMap" and (known := self._config(seen, name)) is not None:
                found |= {key: str(value) for key, value in known.items()}
            elif not each.get("optional"):
                at = ("spec", "postBuild", "substituteFrom", index)
                self.notes.left_out(met.manifest, at, text, hint)
        found |= {key: _text(value) for key, value in (written.get("substitute") or {}).items()}
        return found

    def _config(self, seen: Seen, name: str) -> Mapping[str, Any] | None:
        for met in seen.kustomizations.values():
            for each in met.objects:
                if each.get("kind") == "ConfigMap" and flux.key_of(each)[2] == name:
                    return each.get("data") or {}
        return None

    def path_of(self, path: str) -> str:
        """Return a path of the repository as one of the tree, which may be only a folder of it."""
        found = joined("", re.sub(r"^(\./|/)+", "", path))
        inside = f"{self._below}/"
        if self._below and found == self._below:
            return ""
        return found.removeprefix(inside) if self._below else found

    def local_path(self, seen: Seen, manifest: Mapping[str, Any]) -> str | None:
        """Return the folder that a Kustomization builds, None where it is in another repository."""
        spec = flux.spec_of(manifest)
        path = str(spec.get("path") or "")
        reference = spec.get("sourceRef") or {}
        kind, name = reference.get("kind"), str(reference.get("name"))
        if kind == "ExternalArtifact":
            return self._artifact(seen, name, joined("", path.removeprefix("./")))
        if kind == "GitRepository" and self.is_here(seen, source_of(seen, manifest, reference), name):
            return self.path_of(path)
        return None

    def is_here(self, seen: Seen, source: Manifest | None, name: str) -> bool:
        """Tell whether a GitRepository is this very one: the bootstrapped, or one with the same address."""
        home = next(
            (each for key, each in seen.sources.items() if key[0] == "GitRepository" and key[2] == "flux-system"), None
        )
        if source is None or source is home or name == "flux-system":
            return True
        return home is not None and flux.spec_of(source).get("url") == flux.spec_of(home).get("url")

    def _artifact(self, seen: Seen, name: str, path: str) -> str | None:
        """Return where the part of an artifact was copied from."""
        for key, generator in seen.sources.items():
            if key[0] != "ArtifactGenerator":
                continue
            for artifact in flux.spec_of(generator).get("artifacts") or ():
                if artifact.get("name") == name:
                    return next(_origins(artifact, path), None)
        return None

    def _entries(self) -> dict[str, str]:
        """Return where clusters begin, by name.

        That is each path that holds the Kustomization which brings it, and folders with Kustomizations that none brings.
        """
        written = [
            (self.path_of(str(flux.spec_of(each).get("path") or ".")), folder)
            for each, folder in flux.bases_of(self.places)
            if self.notes.is_shaped(each, FLUX)
        ]
        own = sorted({path for path, folder in written if path and within(folder, path)})
        brought = self._reach.of({path for path, _ in written if self.tree.entry(path) is not None and path})
        free = {folder for _, folder in written if not any(within(folder, each) for each in (*brought, *own))}
        outer = [each for each in sorted(free) if not any(each != other and within(each, other) for other in free)]
        return _named([*own, *outer])


def source_of(seen: Seen, manifest: Mapping[str, Any], reference: Mapping[str, Any]) -> Manifest | None:
    """Return the source that a reference of an object means."""
    place = str(reference.get("namespace") or flux.key_of(manifest)[1])
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    return seen.sources.get((kind, place, name))


def _origins(artifact: Mapping[str, Any], path: str) -> Iterator[str]:
    for copy in artifact.get("copy") or ():
        origin = re.sub(r"^@[^/]+/|/?\*\*$", "", str(copy.get("from") or ""))
        place = re.sub(r"^@artifact/?", "", str(copy.get("to") or "")).strip("/")
        if not place or within(path, place):
            yield posixpath.normpath(posixpath.join(origin, posixpath.relpath(path or ".", place or ".")))


def _named(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths by names of clusters: the last part, with those before it as far as they are needed."""
    found: dict[str, str] = {}
    for path in paths:
        parts = (path or "cluster").split("/")
        for count in range(1, len(parts) + 1):
            name = usable("-".join(parts[-count:]))
            if name not in found:
                found[name] = path
                break
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
