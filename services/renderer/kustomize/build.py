"""Build a kustomization: the resources, what is generated, components, then the transformers in Kustomize's order.

What a folder builds depends on files only, so it is kept with the files that it read, and taken again while these are the
same: a thousand overlays read and build their base once.
"""

from __future__ import annotations

import posixpath
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.renderer.kustomize import merge, patches, transforms
from services.renderer.kustomize.fields import ANNOTATIONS, METADATA_LABELS, SELECTOR_LABELS, TEMPLATE_LABELS
from services.renderer.kustomize.generate import absorbed, hashed
from services.renderer.kustomize.jsonpatch import operations_of
from services.renderer.kustomize.kustomization import Kustomization, Patch, documents_of, kustomization_of
from services.renderer.kustomize.names import with_names
from services.renderer.kustomize.outside import need, outside
from services.renderer.kustomize.reading import KEPT_BYTES, Kept, values
from services.renderer.kustomize.resources import Resource, distinct, resource_of
from shared.fleet.formats import KUSTOMIZATIONS

DEPTH = 20


@dataclass(frozen=True, slots=True)
class Built:
    """What a kustomization makes."""

    objects: tuple[Mapping[str, Any], ...]
    features: frozenset[str]
    """What was used to make it: the fields of kustomizations, and the kinds of the objects."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What a folder builds, from which files."""

    resources: tuple[Resource, ...]
    features: frozenset[str]
    reads: Mapping[str, bytes | None] = field(default_factory=dict)
    """None: there was no such file."""

    @property
    def read_bytes(self) -> int:
        """Return how much it read."""
        return sum(len(content or b"") for content in self.reads.values())


class Builder:
    """Builds, and keeps what may be needed again."""

    def __init__(self) -> None:
        self._values = Kept(values)
        self._kustomizations = Kept(lambda content: kustomization_of(documents_of(values(content))))
        self._resources = Kept(_resources)
        self._folders: OrderedDict[str, _Folder] = OrderedDict()

    def build(self, files: Mapping[str, bytes], root: str, components: tuple[str, ...] = ()) -> Built:
        """Return what the kustomization in the folder `root` makes of `files`, with `components` added.

        Raises:
            OutsideError: kubectl has to build it, or to say what is wrong with it.
        """
        build = _Build(self, files)
        found = build.folder(root, ())
        resources = list(found.resources)
        for each in components:
            resources = build.component(each, ("",), resources)
        named = with_names([hashed(each) for each in resources])
        features = {*found.features, *build.features, *(f"{each.api_version} {each.kind}" for each in named)}
        return Built(tuple(each.value for each in named), frozenset(features))

    def kept(self, folder: str, files: Mapping[str, bytes]) -> _Folder | None:
        """Return what a folder built before, if it would read the same now."""
        found = self._folders.get(folder)
        if found is None or any(files.get(path) != content for path, content in found.reads.items()):
            return None
        self._folders.move_to_end(folder)
        return found

    def keep(self, folder: str, built: _Folder) -> None:
        """Keep what a folder built."""
        self._folders[folder] = built
        self._folders.move_to_end(folder)
        while len(self._folders) > 1 and sum(each.read_bytes for each in self._folders.values()) > KEPT_BYTES:
            self._folders.popitem(last=False)

    def values(self, content: bytes) -> list[Any]:
        """Return the documents of a file."""
        return self._values.of(content)

    def resources(self, content: bytes) -> tuple[Resource, ...]:
        """Return the objects in a file."""
        return self._resources.of(content)

    def kustomization(self, content: bytes) -> Kustomization:
        """Return what a kustomization says."""
        return self._kustomizations.of(content)


def _resources(content: bytes) -> tuple[Resource, ...]:
    """Return the objects in a file. How patches merge into them is looked at here, once for all overlays."""
    found = map(resource_of, values(content))
    return tuple(each._replace(checked=merge.is_clean(each.value)) for each in found)


class _Build:
    """One build: which files it reads, which features it uses."""

    def __init__(self, builder: Builder, files: Mapping[str, bytes]) -> None:
        self._builder = builder
        self._files = files
        self._reads: dict[str, bytes | None] = {}
        self.features: set[str] = set()

    def folder(self, folder: str, above: tuple[str, ...]) -> _Folder:
        """Return what the kustomization in `folder` makes; `above` are the folders that took it in."""
        known = self._builder.kept(folder, self._files)
        if known is not None:
            self._reads |= known.reads
            self.features |= known.features
            return known
        inner = _Build(self._builder, self._files)
        said = inner._kustomization(folder)
        need(said.kind == "Kustomization", "a component where a kustomization should be")
        resources = inner._accumulated(said, folder, (*above, folder), [])
        built = _Folder(tuple(resources), frozenset(inner.features), inner._reads)
        # What no other folder takes in is seen once.
        if above:
            self._builder.keep(folder, built)
        self._reads |= built.reads
        self.features |= built.features
        return built

    def component(self, folder: str, above: tuple[str, ...], resources: list[Resource]) -> list[Resource]:
        """Return the resources after the component in `folder`."""
        said = self._kustomization(folder)
        need(said.kind == "Component", "a kustomization where a component should be")
        self.features.add("kind=Component")
        return self._accumulated(said, folder, (*above, folder), resources)

    def _kustomization(self, folder: str) -> Kustomization:
        names = [name for name in KUSTOMIZATIONS if self._read(posixpath.join(folder, name)) is not None]
        need(len(names) == 1, "no kustomization, or several")
        said = self._builder.kustomization(self._files[posixpath.join(folder, names[0])])
        self.features |= said.features
        return said

    def _accumulated(
        self, said: Kustomization, folder: str, above: tuple[str, ...], resources: list[Resource]
    ) -> list[Resource]:
        need(len(above) < DEPTH, "too deep")
        found = list(resources)
        for each in said.resources:
            found += self._taken_in(each, folder, above)
        # What one folder brings was looked at there.
        found = distinct(found) if len(said.resources) > 1 or resources else found
        for generator in said.generators:
            found = absorbed(found, generator, lambda path: self._file(folder, path))
        for each in said.components:
            found = self.component(self._below(each, folder, above), above, found)
        return self._transformed(said, folder, found)

    def _taken_in(self, path: str, folder: str, above: tuple[str, ...]) -> tuple[Resource, ...]:
        """Return the resources of a file in the folder, or of another folder."""
        place = posixpath.normpath(posixpath.join(folder, path))
        if self._read(place) is not None:
            return self._builder.resources(self._file(folder, path))
        return self.folder(self._below(path, folder, above), above).resources

    def _below(self, path: str, folder: str, above: tuple[str, ...]) -> str:
        """Return the folder that `path` leads to; it must hold none of those that take it in."""
        need(not path.startswith("/"), "an absolute path")
        place = posixpath.normpath(posixpath.join(folder, path))
        need(not place.startswith(".."), "outside of the source")
        place = "" if place == "." else place
        need(not any(each == place or f"{each}/".startswith(f"{place}/") or not place for each in above), "a circle")
        return place

    def _file(self, folder: str, path: str) -> bytes:
        """Return the content of a file in the folder or below."""
        place = posixpath.normpath(posixpath.join(folder, path))
        need(not folder or place.startswith(f"{folder}/"), "a file outside of the folder")
        content = None if path.startswith("/") else self._read(place)
        return content if content is not None else outside(f"there is no {place}")

    def _read(self, path: str) -> bytes | None:
        self._reads[path] = content = self._files.get(path)
        return content

    def _transformed(self, said: Kustomization, folder: str, resources: list[Resource]) -> list[Resource]:
        """Return the resources after the transformers of a kustomization, in Kustomize's own order."""
        found = resources
        for text in said.merges:
            content = text.encode() if "\n" in text else self._file(folder, text)
            for patch in self._builder.values(content):
                found = patches.merged(found, self._merge(patch), None)
        for entry in said.patches:
            found = self._patched(entry, folder, found)
        if said.namespace:
            found = transforms.in_namespace(found, said.namespace)
        found = transforms.prefixed(found, said.prefix, said.suffix)
        for labels in said.labels:
            templates = TEMPLATE_LABELS if labels.templates else METADATA_LABELS
            found = transforms.with_pairs(found, labels.pairs, SELECTOR_LABELS if labels.selectors else templates)
        if said.common_labels:
            found = transforms.with_pairs(found, said.common_labels, SELECTOR_LABELS)
        if said.annotations:
            found = transforms.with_pairs(found, said.annotations, ANNOTATIONS)
        for entry in said.json_patches:
            found = self._edited(entry, folder, found)
        for name, count in said.replicas:
            found = transforms.with_replicas(found, name, count)
        return transforms.with_images(found, said.images) if said.images else found

    def _patched(self, entry: Patch, folder: str, resources: list[Resource]) -> list[Resource]:
        documents = self._builder.values(self._content(entry, folder))
        need(documents, "an empty patch")
        if isinstance(documents[0], list):
            return self._edit(entry, documents, resources, remember=True)
        need(entry.target is None or len(documents) == 1, "several patches for a target")
        found = resources
        for patch in documents:
            found = patches.merged(found, self._merge(patch), entry.target)
        return found

    def _edited(self, entry: Patch, folder: str, resources: list[Resource]) -> list[Resource]:
        documents = self._builder.values(self._content(entry, folder))
        need(entry.target is not None and entry.target.name, "no name of a target")
        return self._edit(entry, documents, resources, remember=False)

    def _edit(self, entry: Patch, documents: list[Any], resources: list[Resource], *, remember: bool) -> list[Resource]:
        need(len(documents) == 1, "several JSON patches in one")
        operations = operations_of(documents[0])
        self.features |= {f"json.{each['op']}" for each in operations}
        target = entry.target or outside("a JSON patch without target")
        return patches.edited(resources, operations, target, remember=remember)

    def _merge(self, patch: Any) -> dict[str, Any]:
        need(isinstance(patch, dict), "a patch that is no object")
        self.features.add(f"merge {patch.get('apiVersion')} {patch.get('kind')}")
        found: dict[str, Any] = patch
        return found

    def _content(self, entry: Patch, folder: str) -> bytes:
        return entry.text.strip().encode() if entry.text else self._file(folder, entry.path)
