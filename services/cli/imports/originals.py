"""Make the objects that the other tool would make of a repository, from its own files and by its own rules.

What is written for Towline has no part in this, so that comparing both proves something. Engines run confined, as always.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from services.cli.imports.flux_walk import Outcome
from services.cli.imports.model import Absent, Charted, Kustomized, Listed, Original
from services.cli.imports.overlaid import OverlaidTree
from services.cli.imports.text import KUSTOMIZATION
from services.cli.offline_yaml import manifest_text
from services.renderer.engines import Engines
from services.renderer.engines.child import ChildStartError, SandboxError
from services.renderer.envsubst import SubstitutionError, expanded
from services.renderer.inputs import AppInputs
from services.renderer.reach import Reach, outermost
from shared.core.canonical import digest, encode
from shared.core.kubeyaml import documents
from shared.core.objects import Manifest
from shared.core.trees import Tree
from shared.errors import Finding, FindingsError
from shared.fleet.formats import KUSTOMIZATIONS
from shared.fleet.read import is_file

# Fields that the other tool adds to a list where others of the kustomization stand.
_APPENDED = frozenset({"patches", "components", "images"})
_SUBSTITUTE = "kustomize.toolkit.fluxcd.io/substitute"


class Originals:
    """The other tool's renderings of one repository."""

    def __init__(self, tree: Tree, engines: Engines) -> None:
        self._tree = tree
        self._engines = engines
        self._known: dict[str, Outcome] = {}

    async def all_of(self, wanted: Iterable[Original]) -> list[Outcome]:
        """Return the objects of each, in order, or why there are none."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self.one(each)) for each in wanted]
        return [each.result() for each in running]

    async def one(self, original: Original) -> Outcome:
        """Return the objects of one original, or why there are none; each is made once."""
        key = digest(encode([type(original).__name__, asdict(original)]))
        if key not in self._known:
            self._known[key] = await self._made(original)
        return self._known[key]

    async def _made(self, original: Original) -> Outcome:
        try:
            return Outcome(tuple(await self._objects(original)))
        except FindingsError as error:
            return Outcome(findings=tuple(error.findings))
        except (SandboxError, ChildStartError) as error:
            return Outcome(findings=(Finding(error.code, error.message, hint=error.hint),))

    async def _objects(self, original: Original) -> list[Manifest]:
        match original:
            case Kustomized():
                objects = await self._engines.render(self._kustomize(original))
                return [_filled(_marked(each, original), original) for each in objects]
            case Charted():
                return await self._engines.render(self._chart(original))
            case Listed():
                return await self._engines.render(self._listed(original))
            case Absent(reason):
                raise FindingsError([Finding("import.to-prove", reason)])

    def _kustomize(self, original: Kustomized) -> AppInputs:
        tree, path = self._tree, original.path
        if original.fields or original.listed:
            tree = OverlaidTree(tree, {self._file(path): self._with_fields(original)})
        reads = Reach(tree).of((path,))
        return AppInputs("import", "kustomize", original.namespace, tree, path, reads, root=path)

    def _file(self, path: str) -> str:
        names = (posixpath.join(path, name) for name in KUSTOMIZATIONS)
        return next((each for each in names if is_file(self._tree, each)), posixpath.join(path, KUSTOMIZATIONS[0]))

    def _with_fields(self, original: Kustomized) -> bytes:
        """Return the kustomization as the other tool has it built."""
        file = self._file(original.path)
        own: Mapping[str, Any] = {**KUSTOMIZATION, "resources": list(original.listed)}
        if not original.listed:
            own = documents(self._tree.read(file), file)[0].value
        fields = dict(own)
        for name, value in original.fields.items():
            fields[name] = [*(own.get(name) or ()), *value] if name in _APPENDED else value
        return encode(fields)

    def _chart(self, original: Charted) -> AppInputs:
        parameters = {"release": original.release, "values": original.values, "allowNondeterministic": True}
        reads = outermost((original.path, *original.files))
        return AppInputs(
            *("import", "helm", original.namespace, self._tree, original.path, reads, original.files),
            root=original.path,
            parameters=encode(parameters).decode(),
        )

    def _listed(self, original: Listed) -> AppInputs:
        return AppInputs("import", "plain", original.namespace, self._tree, "", original.files, files=(original.files,))


def _marked(manifest: Manifest, original: Kustomized) -> Manifest:
    """Return an object with the labels and annotations that the other tool sets on each."""
    added = {"labels": original.labels, "annotations": original.annotations}
    metadata = dict(manifest["metadata"])
    for name, marks in added.items():
        if marks:
            metadata[name] = {**(metadata.get(name) or {}), **marks}
    return {**manifest, "metadata": metadata}


def _filled(manifest: Manifest, original: Kustomized) -> Manifest:
    """Return an object with its variables filled in, read again from its text as Flux does.

    Raises:
        FindingsError: an expression is none, or what comes out is no YAML.
    """
    marks = manifest["metadata"]
    off = any((marks.get(each) or {}).get(_SUBSTITUTE) == "disabled" for each in ("labels", "annotations"))
    if original.variables is None or off:
        return manifest
    try:
        text = expanded(manifest_text(manifest), original.variables)
    except SubstitutionError as error:
        raise FindingsError([Finding("import.differs", str(error), original.path)]) from error
    read = documents(text.encode(), original.path)
    if not read or not isinstance(read[0].value, dict):
        raise FindingsError([Finding("import.differs", "variables leave nothing of an object", original.path)])
    return read[0].value
