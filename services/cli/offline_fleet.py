"""Find what a command shall work on without a hub: a fleet, a repository or one app's folder on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.chart_cache import archives
from services.cli.hubs import CommandError
from services.renderer.locked import wanted
from services.renderer.targets import Place, Plan, Repository, plan_of
from shared.core.names import name_problem
from shared.core.trees import Tree
from shared.errors import Finding
from shared.fleet.locks import read_lock
from shared.fleet.model import Cluster, Fleet
from shared.fleet.read import read_app_folder, read_fleet
from shared.git.folder import FolderTree

if TYPE_CHECKING:
    from services.cli.offline import Asked

LOCAL = "local"
_HEAD = "HEAD"


def plan_at(path: Path, asked: Asked) -> Plan:
    """Return the plan of what is at `path`, as far as it was asked for.

    Raises:
        CommandError: there is nothing that can be read, or nothing that was asked for.
    """
    plan = plan_of_tree(tree_of(path, asked.rev), path, asked)
    check(asked, plan)
    return narrowed(plan, asked)


def plan_of_tree(tree: Tree, path: Path, asked: Asked) -> Plan:
    """Return the whole plan of `tree`, which is or was at `path`."""
    fleet = fleet_of(tree, path)
    charts = archives(wanted(fleet.apps, read_lock(tree)))
    return plan_of(fleet, tree, fleet.clusters or (Cluster(LOCAL),), _repositories(fleet, asked.source), charts)


def fleet_of(tree: Tree, path: Path) -> Fleet:
    """Return what `tree` declares, which is or was at `path`."""
    name = _name_of(path)
    return read_fleet(tree, name, named=False) if tree.entry("fleet.yaml") else read_app_folder(tree, name)


def narrowed(plan: Plan, asked: Asked) -> Plan:
    """Return a plan with those of its targets that were asked for."""
    targets = (each for each in plan.targets if asked.app in {"", each.app} and asked.cluster in {"", each.cluster})
    return replace(plan, targets=tuple(targets))


def check(asked: Asked, *plans: Plan) -> None:
    """Return when one of the plans has what was asked for.

    Raises:
        CommandError: none has.
    """
    apps = (name for plan in plans for name in (*(app.name for app in plan.fleet.apps), *plan.fleet.unreadable_apps))
    clusters = (
        name for plan in plans for name in (*(each.name for each in plan.clusters), *plan.fleet.unreadable_clusters)
    )
    _check(asked.app, "app", set(apps))
    _check(asked.cluster, "cluster", set(clusters))


def _check(asked: str, what: str, known: set[str]) -> None:
    if asked and asked not in known:
        names = ", ".join(sorted(known)[:10]) or "none"
        raise CommandError(f"there is no {what} {asked!r}", code=f"cli.no-{what}", hint=f"there are: {names}")


def tree_of(path: Path, revision: str) -> Tree:
    """Return the files at `path`, or those of a revision.

    Raises:
        CommandError: they cannot be read.
    """
    if not path.is_dir():
        raise CommandError(f"{path} is no folder", code="cli.no-folder", hint="name a checkout, a repository or an app")
    is_bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if not (revision or is_bare):
        return _folder(path)
    try:
        from shared.git.revision import tree_at
    except ModuleNotFoundError as error:
        hint = "install it with: pip install 'towline[hub]', or name a checkout"
        raise CommandError(f"reading revisions needs {error.name}", code="cli.no-git", hint=hint) from error
    return tree_at(path, revision or _HEAD)


def _folder(path: Path) -> Tree:
    try:
        return FolderTree(path)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.filename or path}: {error.strerror}",
            code="cli.unreadable",
            hint="name a checkout, a repository or an app's folder, all of whose files you may read",
        ) from error


def _name_of(path: Path) -> str:
    """Return the name that a source at `path` would have."""
    name = path.resolve().name.removesuffix(".git").lower()
    return "app" if name_problem(name) else name


def _repositories(fleet: Fleet, given: Sequence[str]) -> dict[Place, Repository]:
    """Return the repositories that the fleet's apps name, as far as people said where they are."""
    places: dict[str, Path] = {}
    for each in given:
        name, equals, path = each.rpartition("=")
        if not (equals and name):
            raise CommandError(f"{each!r} is no source", code="cli.source", hint="write it as NAME=PATH")
        places[name] = Path(path)
    found: dict[Place, Repository] = {}
    for app in fleet.apps:
        if app.elsewhere is None:
            continue
        name = app.written.source.name if app.written.source else ""
        place = places.get(name) or places.get(app.elsewhere.repository)
        key = (app.elsewhere.repository, app.elsewhere.ref)
        if place is not None:
            # A checkout counts as it is, whatever ref the fleet names: that is what people want to try.
            found[key] = Repository(tree_of(place, ""), provenance=1)
        else:
            text = f"its content is in {app.elsewhere.repository}, which is not here"
            hint = f"say where: --source {name or app.elsewhere.repository}=PATH"
            found[key] = Repository(finding=Finding("render.other-source", text, hint=hint))
    return found
