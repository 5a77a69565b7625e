"""Make an app of a HelmRelease."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from services.cli.imports import flux_charts, flux_options
from services.cli.imports import flux_objects as flux
from services.cli.imports.flux_charts import Chart
from services.cli.imports.flux_walk import Flux, Seen
from services.cli.imports.model import Absent, Charted, Draft, Key, Original
from services.cli.imports.notes import Notes
from shared.core.objects import Manifest

TO_PROVE = "their charts come from elsewhere: run `towline lock`, then `towline render`, and compare"
NOT_HERE = "their content is in another repository: render it from there, and compare"
_UNUSED = {
    "postRenderers": "say it in the chart's values, or vendor the chart",
    "test": "run the chart's tests in CI, or as a hook of the chart",
}


def release_draft(source: Flux, seen: Seen, key: Key, notes: Notes) -> Draft | None:
    """Return the app of a HelmRelease, or None where there is none; `notes` say why, and what it lacks."""
    release, owner = seen.releases[key]
    spec = flux.spec_of(release)
    told = partial(notes.left_out, release)
    if spec.get("kubeConfig"):
        told(("spec", "kubeConfig"), *flux.OTHER_CLUSTER)
        return None
    chart = flux_charts.chart_of(source, seen, release, told)
    if chart is None:
        return None
    for each, hint in _UNUSED.items():
        if spec.get(each):
            told(("spec", each), f"has {each}, which are not taken over", hint)
    target = str(spec.get("targetNamespace") or "")
    namespace = target or key[1] or "default"
    name = str(spec.get("releaseName") or (f"{target}-{key[2]}" if target else key[2]))
    values = flux_charts.values_of(seen, release, owner, told)
    inline = {"values": values} if chart.source is not None and values else {}
    return Draft(
        key=key,
        cluster=seen.name,
        name=key[2],
        original=_original(chart, name, namespace, values),
        namespace=namespace,
        helm={**chart.helm, "release": name, **inline},
        values=None if chart.source is not None else values,
        layers=chart.files,
        source=chart.source,
        sync=flux_options.of_release(spec, key, namespace, flux.account_of(release, notes)),
        after=tuple(_after(release)),
        made_of=(chart.path, *chart.files) if chart.path else (),
    )


def _original(chart: Chart, name: str, namespace: str, values: dict[str, object]) -> Original:
    if chart.path:
        return Charted(chart.path, name, namespace, chart.files, values)
    return Absent(NOT_HERE if chart.source is not None else TO_PROVE)


def _after(release: Manifest) -> Iterator[Key]:
    for each in flux.spec_of(release).get("dependsOn") or ():
        yield flux.RELEASE, str(each.get("namespace") or flux.key_of(release)[1]), str(each.get("name"))
