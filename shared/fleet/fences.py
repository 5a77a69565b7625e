"""Decide what the project of an app lets it take content from, and on which clusters it lets it be.

One rule for all who need it: the reader of the fleet, the renderer, and the releaser for apps of other sources, which
only it sees together with their project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from shared.core.selectors import Selector, matches
from shared.errors import Finding
from shared.fleet.files import FleetFile
from shared.fleet.model import App

_PORTS = {"https": "443", "http": "80", "ssh": "22"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the apps of a project go."""

    sources: Sequence[str] = ()
    """Names of sources of the hub, and of those that `fleet.yaml` declares; none: any."""
    repositories: Sequence[str] = ()
    """Where those of them are that `fleet.yaml` declares."""
    clusters: Selector = field(default_factory=dict)
    """Empty: all."""

    def source_objection(self, own: str, repository: str = "", *, governs: bool = False) -> str:
        """Return why an app may not have its content, or nothing.

        Args:
            own: the source that declares the app.
            repository: where its content is; empty: in that source.
            governs: that source declares the fleet; it need not be named for what it says of apps.
        """
        if not self.sources:
            return ""
        known = ", ".join(self.sources)
        if own not in self.sources and not (governs and repository):
            return f"takes nothing from the source {own!r}, only from {known}"
        if repository and identity_of(repository) not in {identity_of(each) for each in self.repositories}:
            return f"takes nothing from {repository}, only from {known}"
        return ""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a cluster with these labels is one for the project."""
        return matches(self.clusters, labels)


def bounds_of(fleet: FleetFile | None, project: str) -> Bounds:
    """Return the bounds of a project of this fleet; of one that it does not declare: none."""
    found = fleet.projects.get(project) if fleet else None
    if fleet is None or found is None:
        return Bounds()
    urls = (fleet.sources[name].url for name in found.sources if name in fleet.sources)
    return Bounds(found.sources, tuple(urls), found.clusters)


def of_apps(fleet: FleetFile | None, apps: Sequence[App], own: str) -> Iterator[Finding]:
    """Yield what is wrong with each app whose project does not let it take its content from where it does.

    `own` is the name of the source; empty: it has none yet, and any that is not declared may be it.
    """
    for app in apps:
        project = app.written.project
        bounds = bounds_of(fleet, project)
        foreign = [name for name in bounds.sources if fleet and name not in fleet.sources]
        mine = own or (foreign[0] if foreign else "(this one)")
        chart = app.written.helm.repo if app.written.helm else ""
        why = bounds.source_objection(mine, app.elsewhere.repository if app.elsewhere else "", governs=True)
        why = why or (bounds.source_objection(mine, chart, governs=True) if chart else "")
        if why:
            hint = "name another source, or add this one to the project's `sources` in fleet.yaml"
            text = f"the project {project!r} {why}"
            yield Finding("fleet.fenced", text, app.file, *app.source_at, hint, app=app.name)


def outside(fleet: FleetFile | None, app: App, cluster: str, labels: Mapping[str, str]) -> Finding | None:
    """Return what is wrong when an app names a cluster that its project does not have."""
    project = app.written.project
    if bounds_of(fleet, project).holds(labels):
        return None
    text = f"the app {app.name!r} is for {cluster!r}, which is no cluster of its project {project!r}"
    hint = "narrow the app's `targets`, or widen the project's `clusters` in fleet.yaml"
    return Finding("fleet.fenced", text, app.file, app.line, app.column, hint, cluster=cluster, app=app.name)


def identity_of(url: str) -> str:
    """Return one text for the spellings of a repository's URL, whoever logs in."""
    text = unquote(url.strip())
    scheme, mark, rest = text.partition("://")
    if not mark and not text.startswith("/") and ":" in text:
        host, _, path = text.partition(":")
        scheme, rest = "ssh", f"{host}/{path.lstrip('/')}"
    elif not mark:
        scheme, rest = "file", text
    authority, slash, path = rest.partition("/")
    scheme = scheme.lower()
    return f"{scheme}://{_host_of(authority, scheme)}{slash}{path.strip('/').removesuffix('.git')}"


def _host_of(authority: str, scheme: str) -> str:
    """Return host and port, without a port that says nothing new: `h`, `h:` and `h:0443` are one place of https."""
    place = authority.rpartition("@")[2].lower()
    host, colon, port = place.rpartition(":")
    if not colon or port.strip("0123456789"):
        return place
    port = port.lstrip("0")
    return host if port in {"", _PORTS.get(scheme)} else f"{host}:{port}"
