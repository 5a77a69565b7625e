"""Make apps of what Flux runs: one of each Kustomization that brings objects of its own, one of each HelmRelease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.cli.imports import flux_charts, flux_options
from services.cli.imports import flux_objects as flux
from services.cli.imports.flux_releases import NOT_HERE, release_draft
from services.cli.imports.flux_walk import ROOT, Flux, Met, Seen, source_of
from services.cli.imports.flux_wrapping import generated, roots, wrapper
from services.cli.imports.model import Absent, ClusterFound, Draft, Import, Key
from services.cli.imports.naming import usable
from services.renderer.reach import Reach
from shared.core.objects import Manifest

_OTHERS = {
    "Receiver": "let the hub receive the webhook of the source",
    "Alert": "subscribe to the hub's events: `towline events -w`",
    "Provider": "subscribe to the hub's events: `towline events -w`",
    "ImageUpdateAutomation": "let your CI or Renovate commit new tags",
    "ImagePolicy": "let your CI or Renovate commit new tags",
    "ImageRepository": "let your CI or Renovate commit new tags",
}


class Apps:
    """The apps of a repository that was walked."""

    def __init__(self, walked: Flux) -> None:
        self._flux = walked
        self._notes = walked.notes
        self._reach = Reach(walked.tree)
        self._added: dict[str, str] = {}

    def found(self) -> Import:
        """Return everything that can be taken over, and what cannot."""
        drafts = [draft for seen in self._flux.clusters for draft in self._of_cluster(seen)]
        for seen in self._flux.clusters:
            self._without_counterpart(seen)
        names = _names(drafts)
        known = {(each.key, each.cluster) for each in drafts}
        drafts = [
            replace(each, name=names[each.key], after=tuple(key for key in each.after if (key, each.cluster) in known))
            for each in drafts
        ]
        clusters = tuple(ClusterFound(each.name) for each in self._flux.clusters)
        return Import(clusters, tuple(drafts), added=self._added, findings=self._notes.findings)

    def _of_cluster(self, seen: Seen) -> Iterator[Draft]:
        for met in seen.kustomizations.values():
            draft = self._here(seen, met) if met.original is not None else self._elsewhere(seen, met)
            if draft is not None:
                yield draft
        for key in seen.releases:
            draft = release_draft(self._flux, seen, key, self._notes)
            if draft is not None:
                yield draft

    def _here(self, seen: Seen, met: Met) -> Draft | None:
        """Return the app of a Kustomization of this repository; None where it brings nothing of its own."""
        spec, original = flux.spec_of(met.manifest), met.original
        own = [each for each in met.objects if not flux.is_replaced(each)]
        if original is None or not (met.built and own) or self._is_of_another_cluster(met):
            return None
        account = flux.account_of(met.manifest, self._notes)
        namespace = str(spec.get("targetNamespace") or (_home(own) if account else ""))
        if original.listed:
            self._added[f"{original.path}/kustomization.yaml".lstrip("/")] = generated(original.listed)
        sync = flux_options.of_kustomization(spec, met.key, namespace, account) if met.key != ROOT else {}
        return Draft(
            key=met.key,
            cluster=seen.name,
            name=met.key[2],
            original=replace(original, namespace=namespace or "default"),
            namespace=namespace,
            kustomization=wrapper(original, met.objects),
            substitute=original.variables,
            sync=sync,
            after=tuple(self._after(seen, met)),
            made_of=self._reach.of(roots(original)),
        )

    def _elsewhere(self, seen: Seen, met: Met) -> Draft | None:
        """Return the app of a Kustomization whose content is in another repository."""
        spec = flux.spec_of(met.manifest)
        reference = spec.get("sourceRef") or {}
        if self._flux.local_path(seen, met.manifest) is not None or self._is_of_another_cluster(met):
            return None
        source = source_of(seen, met.manifest, reference)
        if source is None or reference.get("kind") != "GitRepository":
            text = f"has its content in the {reference.get('kind')} {reference.get('name')!r}, which is no git repository known here"
            self._notes.left_out(met.manifest, ("spec", "sourceRef"), text, "commit what it holds, and make it an app")
            return None
        for each in ("components", "patches", "images", "namePrefix", "nameSuffix", "commonMetadata", "postBuild"):
            if spec.get(each):
                text = f"adds {each} to content of another repository, which an app cannot"
                self._notes.left_out(met.manifest, ("spec", each), text, "add a kustomization there that does")
        namespace = str(spec.get("targetNamespace") or "")
        account = flux.account_of(met.manifest, self._notes)
        return Draft(
            key=met.key,
            cluster=seen.name,
            name=met.key[2],
            original=Absent(NOT_HERE),
            namespace=namespace,
            source=flux_charts.git_source(source, self._flux.path_of(str(spec.get("path") or ""))),
            sync=flux_options.of_kustomization(spec, met.key, namespace, account),
            after=tuple(self._after(seen, met)),
        )

    def _is_of_another_cluster(self, met: Met) -> bool:
        found = bool(flux.spec_of(met.manifest).get("kubeConfig"))
        if found:
            self._notes.left_out(met.manifest, ("spec", "kubeConfig"), *flux.OTHER_CLUSTER)
        return found

    def _after(self, seen: Seen, met: Met) -> Iterator[Key]:
        for index, each in enumerate(flux.spec_of(met.manifest).get("dependsOn") or ()):
            wanted = (flux.KUSTOMIZATION, str(each.get("namespace") or met.key[1]), str(each.get("name")))
            if wanted not in seen.kustomizations:
                text = f"depends on {wanted[1]}/{wanted[2]}, which is not in this repository"
                hint = "name the app that stands for it in dependsOn"
                self._notes.left_out(met.manifest, ("spec", "dependsOn", index), text, hint)
            yield from _brought(seen, wanted)

    def _without_counterpart(self, seen: Seen) -> None:
        for each in seen.others:
            hint = _OTHERS.get(str(each.get("kind")), "see whether you still need it")
            self._notes.left_out(each, (), "has no counterpart here", hint)
        for met in seen.kustomizations.values():
            parts = [each for each in met.objects if flux.is_own_part(each)]
            if parts:
                text = f"is a part of Flux, and so are {len(parts) - 1} other objects"
                self._notes.left_out(
                    parts[0], (), text, "the agent takes its place: uninstall Flux when everything is adopted"
                )


def _home(objects: Sequence[Manifest]) -> str:
    """Return the namespace that all objects share which are in one."""
    found = {str(place) for each in objects if (place := (each.get("metadata") or {}).get("namespace"))}
    return found.pop() if len(found) == 1 else ""


def _brought(seen: Seen, key: Key) -> Iterator[Key]:
    """Yield a Kustomization, and what it brings where being ready means that this is ready too."""
    yield key
    met = seen.kustomizations.get(key)
    if met is None:
        return
    yield from (name for name, (_, owner) in seen.releases.items() if owner == key)
    if flux.spec_of(met.manifest).get("wait"):
        for each in seen.kustomizations.values():
            if each.parent == key:
                yield from _brought(seen, each.key)


def _names(drafts: Sequence[Draft]) -> dict[Key, str]:
    """Return a name for each app: its own where it is free, with `-chart` beside a Kustomization of the same name."""
    found: dict[Key, str] = {}
    for draft in sorted(drafts, key=lambda each: (each.key[0] == flux.RELEASE, each.key)):
        if draft.key in found:
            continue
        kind, namespace, _ = draft.key
        own = usable(draft.name)
        choices = [own, f"{own}-chart"] if kind == flux.RELEASE else [own]
        choices += [usable(f"{namespace}-{own}"), usable(f"{namespace}-{own}-{kind}")]
        found[draft.key] = next(each for each in choices if each not in found.values())
    return found
