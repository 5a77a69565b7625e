"""Make apps of what Argo CD runs: its Applications, and those that ApplicationSets make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from services.cli.imports import argocd_options
from services.cli.imports.argocd_content import GROUP, Contents, is_argo
from services.cli.imports.argocd_sets import HERE, IN_CLUSTER, Generators, Made, NotConvertedError
from services.cli.imports.argocd_templates import NotFilledError, filled
from services.cli.imports.model import ClusterFound, Draft, Import, Key
from services.cli.imports.naming import free, usable
from services.cli.imports.notes import Notes
from services.cli.imports.places import Path, Places, metadata_of
from services.cli.imports.projects import project_of
from services.cli.imports.shapes import ARGO
from shared.core.kubeyaml import Document
from shared.core.trees import Tree

_WAVE = "argocd.argoproj.io/sync-wave"
_KIND = "argocd.argoproj.io/secret-type"
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_OF_CLUSTER = frozenset({"cluster", "name", "url", "server", "clusterName"})


@dataclass(frozen=True, slots=True)
class Instance:
    """An Application as it is, or as a set makes it."""

    manifest: Mapping[str, Any]
    written: Document
    cluster: str
    made: Made | None = None


class Argo:
    """One repository, read as Argo CD reads it."""

    def __init__(self, tree: Tree, places: Places, *, url: str = "", clusters: Sequence[ClusterFound] = ()) -> None:
        self._places = places
        self._notes = Notes(places)
        self._contents = Contents(tree, url)
        self._servers: dict[str, str] = {}
        self._clusters = {each.name: each for each in (*self._secrets(), *clusters)}
        self._generators = Generators(tree, tuple(self._clusters.values()), self._servers)

    def found(self) -> Import:
        """Return everything that can be taken over, and what cannot."""
        documents = [
            each
            for each in self._places.of_groups(GROUP)
            if is_argo(each.value) and self._notes.is_shaped(each.value, ARGO)
        ]
        groups: dict[Key, list[Instance]] = defaultdict(list)
        selectors: dict[Key, tuple[Mapping[str, tuple[str, ...]], ...]] = {}
        for document in documents:
            if document.value["kind"] == "Application":
                name = str(metadata_of(document.value).get("name"))
                groups["Application", document.file, name].append(self._instance(document.value, document, None))
            elif document.value["kind"] == "ApplicationSet":
                self._of_set(document, groups, selectors)
        names = self._names(groups)
        drafts = [
            draft
            for key, members in groups.items()
            for each in members
            for draft in self._drafts(key, each, names[key])
        ]
        self._label(groups)
        for each in {each.cluster for each in drafts} - set(self._clusters):
            self._clusters[each] = ClusterFound(each)
        projects = dict(
            project_of(each.value, self._notes, self._named) for each in documents if each.value["kind"] == "AppProject"
        )
        return Import(
            tuple(self._clusters[name] for name in sorted(self._clusters)),
            tuple(_waves(drafts, groups)),
            selectors={key: each for key, each in selectors.items() if key in groups},
            projects={name: each for name, each in projects.items() if name != "default"},
            findings=self._notes.findings,
        )

    def _secrets(self) -> Iterator[ClusterFound]:
        """Yield the clusters whose Secrets are in the repository."""
        for document in self._places.documents:
            labels = metadata_of(document.value).get("labels")
            if not isinstance(labels, Mapping) or labels.get(_KIND) != "cluster":
                continue
            said = document.value.get("stringData") or {}
            name = usable(str(said.get("name") or metadata_of(document.value).get("name")))
            self._servers[name] = str(said.get("server") or "")
            yield ClusterFound(name, {str(key): str(value) for key, value in labels.items() if "/" not in str(key)})

    def _named(self, destination: Mapping[str, Any]) -> str:
        """Return the name of the cluster that a destination means."""
        if destination.get("name"):
            return usable(str(destination["name"]))
        server = str(destination.get("server") or HERE)
        known = next((name for name, each in self._servers.items() if each == server), None)
        if known is not None or server == HERE:
            return known or IN_CLUSTER
        return usable(re.sub(r"^\w+://|[:/].*$", "", server))

    def _instance(self, manifest: Mapping[str, Any], document: Document, made: Made | None) -> Instance:
        destination = (manifest.get("spec") or {}).get("destination") or {}
        return Instance(manifest, document, self._named(destination), made)

    def _of_set(self, document: Document, groups: dict[Key, list[Instance]], selectors: dict[Key, Any]) -> None:
        spec = document.value.get("spec") or {}
        name = str(metadata_of(document.value).get("name"))
        told = partial(self._notes.left_out, document.value)
        for each in ("templatePatch", "strategy", "ignoreApplicationDifferences"):
            if spec.get(each):
                told(("spec", each), f"has {each}", "say it with rollouts, layers and targets")
        instances = []
        try:
            for made in self._generators.all_of(spec.get("generators") or (), ("spec", "generators")):
                template = filled({"metadata": {}, **(spec.get("template") or {})}, made.parameters)
                instances.append(self._instance(template, document, made))
        except NotConvertedError as error:
            told(error.at, str(error), error.hint)
            return
        except NotFilledError as error:
            told(("spec", "template"), f"cannot be filled in: {error}", "write its apps yourself")
            return
        for instance in instances:
            key = ("ApplicationSet", name, _apart(instance, instances))
            groups[key].append(instance)
            if instance.made is not None and instance.made.labels is not None:
                selectors[key] = (instance.made.labels,) if instance.made.labels else ()

    def _drafts(self, key: Key, instance: Instance, name: str) -> Iterator[Draft]:
        spec = instance.manifest.get("spec") or {}
        sources = spec.get("sources") or ([spec["source"]] if spec.get("source") else [])
        contents = [
            (index, each)
            for index, each in enumerate(sources)
            if not (each.get("ref") and not each.get("path") and not each.get("chart"))
        ]
        namespace = str((spec.get("destination") or {}).get("namespace") or "")
        own_name = str(metadata_of(instance.manifest).get("name"))
        is_set = instance.made is not None
        told = partial(self._notes.left_out, instance.written.value)
        within = partial(_within, told, ("spec", "template") if is_set else ())
        sync = argocd_options.of_application(instance.manifest, within)
        project = usable(str(spec.get("project") or "default"))
        for index, source in contents:
            at = ("spec", "sources", index) if spec.get("sources") else ("spec", "source")
            content = self._contents.of(source, own_name, namespace or "default", partial(_within, within, at))
            if content is not None:
                yield Draft(
                    key=key if len(contents) == 1 else (*key[:2], f"{key[2]}#{index}"),
                    cluster=instance.cluster,
                    name=name if len(contents) == 1 else usable(f"{name}-{index + 1}"),
                    original=content.original,
                    namespace=namespace,
                    kustomization=content.kustomization,
                    plain=content.plain,
                    helm=content.helm,
                    layers=content.layers,
                    values=content.values,
                    source=content.source,
                    sync=sync,
                    project="" if project == "default" else project,
                    made_of=content.made_of,
                )

    def _names(self, groups: Mapping[Key, Sequence[Instance]]) -> dict[Key, str]:
        """Return a name for each app: that of its Applications, without the cluster's where that makes one of them."""
        found: dict[Key, str] = {}
        for key, members in groups.items():
            own = {str(metadata_of(each.manifest).get("name")) for each in members}
            if len(own) > 1:
                own = {
                    re.sub(
                        rf"(^|-){re.escape(each.cluster)}(-|$)", "-", str(metadata_of(each.manifest).get("name"))
                    ).strip("-")
                    for each in members
                }
            found[key] = free(own.pop() if len(own) == 1 else key[1], found.values())
        return found

    def _label(self, groups: Mapping[Key, Sequence[Instance]]) -> None:
        """Give clusters the labels that elements of lists say about them, where all say the same."""
        said: dict[tuple[str, str], set[str]] = defaultdict(set)
        for members in groups.values():
            for each in members:
                for text in each.made.element if each.made else ():
                    label, _, value = text.partition("=")
                    if label not in _OF_CLUSTER and _LABEL.fullmatch(value):
                        said[each.cluster, label].add(value)
        for (cluster, label), values in said.items():
            known = self._clusters.get(cluster, ClusterFound(cluster))
            if len(values) == 1:
                self._clusters[cluster] = replace(known, labels={label: values.pop(), **known.labels})


def _within(told: Any, prefix: Path, at: Path, message: str, hint: str) -> None:
    told((*prefix, *at), message, hint)


def _apart(instance: Instance, others: Sequence[Instance]) -> str:
    """Return what tells an Application of a set apart from others on the same cluster."""
    made = instance.made
    if made is None:
        return ""
    rivals = [each for each in others if each.made and each.made.own == made.own and each.cluster == instance.cluster]
    return "/".join((*made.own, *(made.element if len(rivals) > 1 else ())))


def _waves(drafts: Sequence[Draft], groups: Mapping[Key, Sequence[Instance]]) -> Iterator[Draft]:
    """Yield the drafts, each after those of the wave before its own that came in the same folder."""
    waves = {
        key: (members[0].written.file.rpartition("/")[0], _wave(members[0].manifest)) for key, members in groups.items()
    }

    def place(draft: Draft) -> tuple[str, int]:
        return waves[(*draft.key[:2], draft.key[2].partition("#")[0])]

    for draft in drafts:
        folder, wave = place(draft)
        earlier = [
            (place(each)[1], each.key)
            for each in drafts
            if place(each)[0] == folder and each.cluster == draft.cluster and place(each)[1] < wave
        ]
        last = max((number for number, _ in earlier), default=0)
        yield replace(draft, after=tuple(dict.fromkeys(key for number, key in earlier if number == last)))


def _wave(manifest: Mapping[str, Any]) -> int:
    text = str((metadata_of(manifest).get("annotations") or {}).get(_WAVE) or "0")
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else 0
