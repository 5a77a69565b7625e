"""Read what a source declares, as far as it can be read; name everything that is wrong, at once.

Bad input stays local: an unreadable `fleet.yaml` stops its source, an unreadable app or a cluster that stands twice only
itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from shared.core.kubeyaml import Document
from shared.core.names import name_problem
from shared.core.trees import Entry, EntryKind, Tree
from shared.errors import Finding
from shared.fleet import fences
from shared.fleet.checking import Path, checked, keys_of, misspelt_gates, sole_document, unknown_key
from shared.fleet.circles import circles
from shared.fleet.clusters import read_clusters
from shared.fleet.fences import identity_of
from shared.fleet.files import AppFile, AppSource, FleetFile, Rollout, Stage, Verify
from shared.fleet.formats import CHART, KUSTOMIZATIONS, YAML
from shared.fleet.model import ROOT, App, Elsewhere, Fleet

APPS = "apps"
APP_FILE = "app.yaml"


def read_fleet(tree: Tree, source: str, *, named: bool = True) -> Fleet:
    """Return what the source named `source` declares in `tree`; not `named`: a hub may call it otherwise."""
    findings: list[Finding] = []
    if not is_file(tree, ROOT):
        return _sole_app(tree, source)
    document = sole_document(tree, ROOT, findings)
    written = checked(FleetFile, document, findings) if document else None
    if document and written:
        _check_fleet(document, written, findings)
    clusters = read_clusters(tree)
    apps, unreadable, app_findings = _apps(tree, written, source if named else "")
    findings += [*clusters.findings, *app_findings]
    own_words = written and (written.rollouts or written.projects or written.claims.accept or written.claims.approve)
    return Fleet(
        source,
        written,
        clusters=clusters.clusters,
        unreadable_clusters=clusters.unreadable,
        apps=tuple(apps),
        unreadable_apps=tuple(unreadable),
        findings=tuple(findings),
        readable=written is not None,
        whole=written is not None and clusters.whole,
        governs=bool(clusters.found or own_words or (written and written.windows)),
    )


def is_file(tree: Tree, path: str) -> bool:
    """Tell whether a file stands at `path`."""
    entry = tree.entry(path)
    return entry is not None and entry.kind in {EntryKind.FILE, EntryKind.EXECUTABLE}


def _sole_app(tree: Tree, source: str) -> Fleet:
    """Return the fleet of a source without `fleet.yaml`: one app, named like the source."""
    findings = [
        Finding(
            "fleet.no-fleet-file",
            f"{path} is not read: there is no {ROOT}, so the whole repository is one app",
            path,
            1,
            1,
            f"add a {ROOT} that says `version: 1`",
            severity="warning",
        )
        for path in _app_files(tree)
    ]
    return Fleet(source, apps=(App(source, "", "", AppFile()),), findings=tuple(findings))


def read_app_folder(tree: Tree, name: str) -> Fleet:
    """Return the fleet of one app whose folder, with or without an `app.yaml`, is the whole of `tree`."""
    if not is_file(tree, APP_FILE):
        return _sole_app(tree, name)
    findings: list[Finding] = []
    app = _written_app(tree, name, "", findings)
    found = tuple(_of_app(each, name) for each in findings)
    if app is None:
        return Fleet(name, unreadable_apps=(name,), findings=found)
    return Fleet(name, apps=(app,), findings=found)


def _app_files(tree: Tree) -> Iterator[str]:
    for entry in tree.folder(APPS):
        path = posixpath.join(APPS, entry.name, APP_FILE)
        if entry.kind is EntryKind.FOLDER and is_file(tree, path):
            yield path


def _check_fleet(document: Document, written: FleetFile, findings: list[Finding]) -> None:
    for name, rollout in written.rollouts.items():
        findings += _gates(document, rollout, ("rollouts", name), written)
    default = written.defaults.rollout
    if default and default not in written.rollouts and written.rollouts:
        findings.append(_no_rollout(document, ("defaults", "rollout"), default, written))


def _gates(document: Document, rollout: Rollout, at: Path, fleet: FleetFile | None) -> Iterator[Finding]:
    """Yield what looks like a gate and is a misspelt key, and windows that nobody declares."""
    for index, stage in enumerate(rollout.stages):
        for key in misspelt_gates(stage):
            yield unknown_key(document, (*at, "stages", index, key), keys_of(Stage))
        yield from _windows(document, stage.windows or (), (*at, "stages", index, "windows"), fleet)


def _windows(document: Document, names: Sequence[str], at: Path, fleet: FleetFile | None) -> Iterator[Finding]:
    """Yield the windows that nobody declares; where this source declares none, the fleet source does."""
    declared = fleet.windows if fleet else {}
    for name in names if declared else ():
        if name not in declared:
            hint = f"declared: {', '.join(sorted(declared))}"
            yield document.finding("fleet.unknown-window", f"there is no window {name!r}", at, hint=hint)


def _no_rollout(document: Document, at: Path, name: str, written: FleetFile) -> Finding:
    known = ", ".join(sorted(written.rollouts))
    return document.finding("fleet.unknown-rollout", f"there is no rollout {name!r}", at, hint=f"declared: {known}")


def _apps(tree: Tree, fleet: FleetFile | None, source: str) -> tuple[list[App], list[str], list[Finding]]:
    apps: list[App] = []
    unreadable: list[str] = []
    findings: list[Finding] = []
    for entry in tree.folder(APPS):
        if entry.kind is not EntryKind.FOLDER or entry.name.startswith("."):
            continue
        own: list[Finding] = []
        app = _app(tree, entry, fleet, own)
        if app is not None:
            apps.append(app)
        elif not name_problem(entry.name) and any(each.severity == "error" for each in own):
            unreadable.append(entry.name)
        findings += [_of_app(each, entry.name) for each in own]
    together = [*circles(apps), *fences.of_apps(fleet, apps, source)]
    caught = {each.app for each in together}
    unreadable += sorted(caught)
    return [app for app in apps if app.name not in caught], unreadable, [*findings, *together]


def _app(tree: Tree, entry: Entry, fleet: FleetFile | None, findings: list[Finding]) -> App | None:
    folder = posixpath.join(APPS, entry.name)
    if problem := name_problem(entry.name):
        findings.append(Finding("fleet.bad-name", problem, folder, hint="rename the folder"))
        return None
    if not is_file(tree, posixpath.join(folder, APP_FILE)):
        return _without_file(tree, entry.name, folder, findings)
    return _written_app(tree, entry.name, folder, findings, fleet)


def _written_app(
    tree: Tree, name: str, folder: str, findings: list[Finding], fleet: FleetFile | None = None
) -> App | None:
    file = posixpath.join(folder, APP_FILE)
    document = sole_document(tree, file, findings)
    written = checked(AppFile, document, findings) if document else None
    if document is None or written is None:
        return None
    before = len(findings)
    elsewhere = _elsewhere(document, written.source, fleet, findings)
    _check_app(document, written, fleet, findings)
    if any(each.severity == "error" for each in findings[before:]):
        return None
    line, column = document.at()
    places = tuple(document.at(("layers", index)) for index in range(len(written.layers)))
    depends_at = document.at(("sync", "dependsOn")) if written.sync.depends_on else (line, column)
    source_at = document.at(("source",) if written.source else ("project",) if written.project else ())
    helm_at = document.at(("helm",) if written.helm else ())
    return App(name, folder, file, written, elsewhere, line, column, places, depends_at, source_at, helm_at)


def _without_file(tree: Tree, name: str, folder: str, findings: list[Finding]) -> App | None:
    known = any(is_file(tree, posixpath.join(folder, each)) for each in (*KUSTOMIZATIONS, CHART))
    if known or next(yaml_files(tree, folder), None):
        return App(name, folder, folder)
    text = f"{folder} holds no YAML file, so it is no app"
    findings.append(Finding("fleet.no-app", text, folder, hint="remove it, or add manifests", severity="warning"))
    return None


def _check_app(document: Document, written: AppFile, fleet: FleetFile | None, findings: list[Finding]) -> None:
    engines = [name for name in ("plain", "kustomize", "helm") if getattr(written, name) is not None]
    if len(engines) > 1:
        text = f"the app is {' and '.join(engines)} at once"
        findings.append(document.finding("fleet.two-engines", text, (engines[1],), hint="keep one of them"))
    if written.rollout is not None:
        findings += _gates(document, written.rollout, ("rollout",), fleet)
    if fleet is None:
        return
    findings += _windows(document, written.sync.windows, ("sync", "windows"), fleet)
    name = written.rollout.name if written.rollout else ""
    if name and fleet.rollouts and name not in fleet.rollouts:
        findings.append(_no_rollout(document, ("rollout",), name, fleet))
    if written.project and fleet.projects and written.project not in fleet.projects:
        known = ", ".join(sorted(fleet.projects))
        text = f"there is no project {written.project!r}"
        findings.append(document.finding("fleet.unknown-project", text, ("project",), hint=f"declared: {known}"))
    project, own = fleet.projects.get(written.project), written.sync.run_as
    if project is not None and project.run_as and own not in {"", project.run_as}:
        text = f"apps of the project {written.project!r} act as {project.run_as!r}, not as {own!r}"
        hint = "leave runAs out of the app"
        findings.append(document.finding("fleet.fenced", text, ("sync", "runAs"), hint=hint))


def _elsewhere(
    document: Document, source: AppSource | None, fleet: FleetFile | None, findings: list[Finding]
) -> Elsewhere | None:
    if source is None:
        return None
    path = posixpath.normpath(source.path).strip("/") if source.path else ""
    if path.startswith(".."):
        findings.append(document.finding("fleet.outside", "the path leads out of the repository", ("source", "path")))
    if source.repo and not source.name:
        return Elsewhere(source.repo, source.ref, "" if path == "." else path, _verify(source.repo, fleet))
    if fleet is None:
        # One app's folder alone: who reads it must say where this repository is.
        return Elsewhere(source.name, source.ref, "" if path == "." else path)
    named = fleet.sources.get(source.name)
    if named is None:
        known = ", ".join(sorted(fleet.sources)) or "none"
        text = f"there is no source {source.name!r}" if source.name else "the source names neither `repo` nor `name`"
        findings.append(document.finding("fleet.unknown-source", text, ("source",), hint=f"sources here: {known}"))
    if named is None:
        return None
    verify = (named.verify,) if named.verify else ()
    return Elsewhere(named.url, source.ref or named.ref, "" if path == "." else path, verify)


def _verify(repository: str, fleet: FleetFile | None) -> tuple[Verify, ...]:
    """Return what the sources at this URL ask for: an app that names the URL itself does not get around it."""
    known = fleet.sources.values() if fleet else ()
    # Forges do not tell letters from capitals; where a server does, this asks for a signature too many.
    same = identity_of(repository).lower()
    return tuple(each.verify for each in known if each.verify and identity_of(each.url).lower() == same)


def yaml_files(tree: Tree, folder: str) -> Iterator[str]:
    """Yield the YAML files below `folder`, in order; folders that begin with a dot are left out."""
    for entry in tree.folder(folder):
        path = posixpath.join(folder, entry.name)
        if entry.kind is EntryKind.FOLDER and not entry.name.startswith("."):
            yield from yaml_files(tree, path)
        elif entry.kind in {EntryKind.FILE, EntryKind.EXECUTABLE} and entry.name.endswith(YAML):
            yield path


def _of_app(finding: Finding, app: str) -> Finding:
    return Finding(
        finding.code,
        finding.message,
        finding.file,
        finding.line,
        finding.column,
        finding.hint,
        app=app,
        severity=finding.severity,
    )
