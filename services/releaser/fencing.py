"""Hold apps to their projects: what is signed for them, and where those of other sources come from and go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import PermanentError
from shared.fleet.fences import Bounds
from shared.messages.renders import AppPart, ProjectPart, TargetRender


class NotFencedError(PermanentError):
    """An app names fences that it does not have; it stays as it is, for without them it could do anything."""

    code = "fleet.fenced"


def fenced(app: AppPart, projects: Mapping[str, ProjectPart], foreign: str = "") -> AppPart:
    """Return the app with the fence and the account of its project among its options.

    Args:
        app: the app.
        projects: those of the fleet.
        foreign: the source that declares the app, where that is not the fleet source.

    Raises:
        NotFencedError: nobody declares its project, that has another account, or takes nothing from where the app is.
    """
    if not app.project:
        return app
    project = projects.get(app.project)
    if project is None:
        known = ", ".join(sorted(projects)) or "none"
        text = f"app {app.name!r} belongs to a project {app.project!r} that the fleet does not declare"
        raise NotFencedError(text, code="fleet.unknown-project", hint=f"declared: {known}")
    if foreign and (why := _bounds(project).source_objection(foreign, app.repository)):
        hint = "add the source to the project's `sources` in fleet.yaml"
        raise NotFencedError(f"app {app.name!r}: the project {app.project!r} {why}", hint=hint)
    own = str(app.options.get("runAs") or "")
    if project.run_as and own and own != project.run_as:
        text = f"app {app.name!r} wants to act as {own!r}, and apps of project {app.project!r} as {project.run_as!r}"
        raise NotFencedError(text, hint="leave runAs out of the app")
    fence: dict[str, Any] = {"namespaces": list(project.namespaces), "clusterScoped": project.cluster_scoped}
    return app.model_copy(update={"options": {**app.options, "fence": fence, "runAs": project.run_as or own}})


def within(
    targets: Sequence[TargetRender],
    apps: Mapping[str, AppPart],
    projects: Mapping[str, ProjectPart],
    labels: Mapping[str, Mapping[str, str]],
) -> tuple[tuple[TargetRender, ...], dict[str, list[str]]]:
    """Return the targets as far as the projects of their apps go, and by app the clusters that it may not name.

    A target that an app names and may not have stays as it is, so it is kept without a bundle. One that only follows
    from naming no cluster at all is none.
    """
    kept: list[TargetRender] = []
    refused: dict[str, list[str]] = {}
    for target in targets:
        app = apps.get(target.app)
        project = projects.get(app.project) if app else None
        if app is None or project is None or _bounds(project).holds(labels.get(target.cluster, {})):
            kept.append(target)
        elif not app.everywhere:
            kept.append(target.model_copy(update={"bundle": ""}))
            refused.setdefault(app.name, []).append(target.cluster)
    return tuple(kept), refused


def _bounds(project: ProjectPart) -> Bounds:
    return Bounds(project.sources, project.repositories, project.clusters)
