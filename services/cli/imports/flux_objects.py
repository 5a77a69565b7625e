"""Know Flux's own objects: which they are, what they are called, and what a kustomization of Flux adds before it builds."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from services.cli.imports.model import Key
from services.cli.imports.notes import Notes
from services.cli.imports.places import Places, identity, is_of, metadata_of
from services.renderer.layers import joined
from shared.core.kubeyaml import documents
from shared.core.objects import Manifest
from shared.core.trees import EntryKind, Tree
from shared.errors import FindingsError
from shared.fleet.formats import KUSTOMIZATIONS, YAML
from shared.fleet.read import is_file

TOOLKIT = ".toolkit.fluxcd.io"
GROUPS = (TOOLKIT, "source.extensions.fluxcd.io", "fluxcd.controlplane.io")
KUSTOMIZATION, RELEASE = "Kustomization", "HelmRelease"
SOURCES = frozenset({"GitRepository", "OCIRepository", "HelmRepository", "Bucket", "ExternalArtifact", "HelmChart"})
CONSUMED = SOURCES | {KUSTOMIZATION, RELEASE, "ArtifactGenerator"}
PART_OF = "app.kubernetes.io/part-of"
OTHER_CLUSTER = ("is applied to another cluster", "let that cluster join, and name it in the app's targets")
_CONTROLLERS = frozenset({"kustomize-controller", "helm-controller"})
# What Flux writes into the kustomization at a path, by its own name for it.
_FIELDS = {"targetNamespace": "namespace", "namePrefix": "namePrefix", "nameSuffix": "nameSuffix"}


def is_flux(value: Any) -> bool:
    """Tell whether a value is an object that Flux's controllers act upon."""
    return is_of(value, GROUPS)


def is_kustomization(value: Any) -> bool:
    """Tell whether a value is a Kustomization of Flux, which is not kustomize's file of that kind."""
    return is_flux(value) and identity(value)[0] == KUSTOMIZATION


def is_own_part(manifest: Manifest) -> bool:
    """Tell whether an object is one of Flux's controllers, definitions and the like."""
    labels = metadata_of(manifest).get("labels")
    return isinstance(labels, Mapping) and labels.get(PART_OF) == "flux"


def is_replaced(manifest: Manifest) -> bool:
    """Tell whether an object is not delivered any more, because Towline takes its place."""
    return is_flux(manifest) or is_own_part(manifest)


def key_of(manifest: Mapping[str, Any]) -> Key:
    """Return kind, namespace and name."""
    kind, name = identity(manifest)
    return kind, str(metadata_of(manifest).get("namespace") or ""), name


def spec_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the spec, empty where there is none."""
    spec = manifest.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def account_of(manifest: Manifest, notes: Notes) -> str:
    """Return the account that an app acts as; Flux's own controllers have all rights, as the agent has."""
    account = str(spec_of(manifest).get("serviceAccountName") or "")
    if account not in _CONTROLLERS:
        return account
    text = f"acts as Flux's own {account}, which goes with Flux"
    hint = "set sync.runAs to an account that stays, if the app shall have fewer rights than the agent"
    notes.left_out(manifest, ("spec", "serviceAccountName"), text, hint)
    return ""


def fields_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Kustomization of Flux adds to the kustomization at its path."""
    found = {ours: spec[theirs] for theirs, ours in _FIELDS.items() if spec.get(theirs)}
    for name in ("components", "patches", "images"):
        if spec.get(name):
            found[name] = list(spec[name])
    return found


def listed(tree: Tree, folder: str) -> tuple[str, ...]:
    """Return the members of the kustomization that Flux makes for a folder without one, by their path in it."""
    return tuple(sorted(_members(tree, folder, "")))


def _members(tree: Tree, root: str, below: str) -> Iterator[str]:
    for entry in tree.folder(joined(root, below)):
        path = posixpath.join(below, entry.name)
        if entry.kind is EntryKind.FOLDER:
            has_own = any(is_file(tree, posixpath.join(root, path, name)) for name in KUSTOMIZATIONS)
            yield from (path,) if has_own else _members(tree, root, path)
        elif (
            entry.kind is not EntryKind.SUBMODULE
            and entry.name.endswith(YAML)
            and _holds(tree, posixpath.join(root, path))
        ):
            yield path


def _holds(tree: Tree, path: str) -> bool:
    """Tell whether a file holds an object; one that cannot be read does, so that the build says what is wrong."""
    try:
        return any(identity(each.value)[0] for each in documents(tree.read(path), path))
    except FindingsError:
        return True


def bases_of(places: Places) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the Kustomizations of Flux as they are written, and the folder of each."""
    for document in places.of_groups(TOOLKIT):
        if is_kustomization(document.value):
            yield document.value, posixpath.dirname(document.file)
