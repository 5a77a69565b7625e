"""Find what only shows on a cluster as a whole: objects of two apps, kinds that another app defines, fences.

Clusters that get the same are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from services.applier.tenancy import LocalPolicy, tenancy_of
from services.cli.offline_render import Made
from services.releaser.fencing import fenced
from services.renderer.engines.collect import collected
from services.renderer.engines.origins import Origins
from services.renderer.finish import Piece, named
from services.renderer.inputs import NEWEST, minor_of
from services.renderer.listing import app_part, fleet_part
from services.renderer.overlaps import overlap_finding, overlaps
from services.renderer.schemas.findings import can_check, schema_findings
from services.renderer.scopes import Scopes
from services.renderer.targets import Plan
from shared.core.objects import Manifest, key_of
from shared.errors import Finding, PermanentError
from shared.fleet.model import App

_DEFINITION = "CustomResourceDefinition"


def cluster_findings(plan: Plan, made: Iterable[Made]) -> list[Finding]:
    """Return what is wrong with the apps of each cluster together, or with what their fences let them bring."""
    by_cluster: dict[str, dict[str, Made]] = {}
    for each in made:
        if each.digest:
            by_cluster.setdefault(each.cluster, {})[each.app] = each
    versions = {each.name: minor_of(each.kube_version) or NEWEST for each in plan.clusters}
    apps = {app.name: app for app in plan.fleet.apps}
    tenancies = _Tenancies(plan)
    known: dict[object, list[Finding]] = {}
    found: list[Finding] = []
    for cluster, own in by_cluster.items():
        likeness = (versions[cluster], *((name, own[name].digest) for name in sorted(own)))
        if likeness not in known:
            known[likeness] = [
                *_twice(own, apps),
                *_of_kinds(own, apps, versions[cluster], _origins(plan, cluster)),
                *(finding for name, each in own.items() for finding in tenancies.of(apps[name], each.objects)),
            ]
        found += [replace(each, cluster=cluster) for each in known[likeness]]
    return found


def _origins(plan: Plan, cluster: str) -> dict[str, Origins]:
    """Return where the objects of a cluster's apps are written, by app."""
    targets = ((each.app, each.inputs) for each in plan.targets if each.cluster == cluster and each.inputs)
    return {app: Origins(partial(collected, inputs)) for app, inputs in targets}


def not_checked() -> Iterator[Finding]:
    """Yield a warning where nothing was checked against schemas, so that no silence is taken for a word."""
    if not can_check():
        text = "objects were not checked against the schemas of their kinds: jsonschema-rs is not installed"
        yield Finding("schema.not-checked", text, hint="pip install 'towline[hub]'", severity="warning")


def _twice(own: Mapping[str, Made], apps: Mapping[str, App]) -> Iterator[Finding]:
    keys = {name: (apps[name].namespace, [str(key_of(each)) for each in made.objects]) for name, made in own.items()}
    for each in overlaps(keys):
        yield overlap_finding(each, apps[each.second], "", "error")


def _of_kinds(
    own: Mapping[str, Made], apps: Mapping[str, App], version: str, origins: Mapping[str, Origins]
) -> Iterator[Finding]:
    """Yield what is wrong with objects of kinds that another app of the cluster defines, and which kinds nobody knows."""
    if not can_check():
        return
    from services.renderer.schemas.check import Checker

    definitions = {name: [each for each in made.objects if each["kind"] == _DEFINITION] for name, made in own.items()}
    everywhere = [each for found in definitions.values() for each in found]
    for name, made in own.items():
        if apps[name].written.checks == "none":
            continue
        alone, together = Checker(version, definitions[name]), Checker(version, everywhere)
        foreign = [each for each in made.objects if not alone.knows(each)]
        pieces = [Piece(each, apps[name].file) for each in foreign]
        for finding in schema_findings(pieces, version, origins[name].of, definitions=everywhere):
            yield replace(finding, app=name)
        for kind in sorted({f"{each['kind']} ({each['apiVersion']})" for each in foreign if not together.knows(each)}):
            text = f"no app here defines the kind {kind}: its objects were not checked"
            yield Finding("schema.unknown-kind", text, severity="note")


class _Tenancies:
    """Whom apps act as within which fences, as an agent without a policy of its own decides."""

    def __init__(self, plan: Plan) -> None:
        self._projects: Mapping[str, Any] = fleet_part(plan.fleet).projects

    def of(self, app: App, objects: Sequence[Manifest]) -> Iterator[Finding]:
        """Yield a finding for each object that an app may not bring."""
        try:
            part = fenced(app_part(app), self._projects) if app.written.project in self._projects else app_part(app)
            tenancy = tenancy_of(app.name, part.options, LocalPolicy())
        except PermanentError as error:
            yield Finding(error.code, error.message, app.file, app.line, app.column, error.hint, app=app.name)
            return
        scopes = Scopes(objects)
        for each in objects:
            key = key_of(each)
            if not key.namespace and scopes.namespaced(each) is None:
                # It gets the app's namespace if its kind has one.
                key = key._replace(namespace=app.namespace)
            if why := tenancy.trouble(key):
                text = f"{named(each)}: {why}"
                hint = "take it out of the app, or widen the project"
                yield Finding("object.fenced", text, app.file, app.line, app.column, hint, app=app.name)
