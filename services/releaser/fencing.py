"""Put the fences of an app's project into what is signed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import PermanentError
from shared.messages.renders import AppPart, ProjectPart


class NotFencedError(PermanentError):
    """An app names fences that it does not have; it stays as it is, for without them it could do anything."""

    code = "fleet.fenced"


def fenced(app: AppPart, projects: Mapping[str, ProjectPart]) -> AppPart:
    """Return the app with the fence and the account of its project among its options.

    Raises:
        NotFencedError: nobody declares its project, or it names another account than that.
    """
    if not app.project:
        return app
    project = projects.get(app.project)
    if project is None:
        known = ", ".join(sorted(projects)) or "none"
        text = f"app {app.name!r} belongs to a project {app.project!r} that the fleet does not declare"
        raise NotFencedError(text, code="fleet.unknown-project", hint=f"declared: {known}")
    own = str(app.options.get("runAs") or "")
    if project.run_as and own and own != project.run_as:
        text = f"app {app.name!r} wants to act as {own!r}, and apps of project {app.project!r} as {project.run_as!r}"
        raise NotFencedError(text, hint="leave runAs out of the app")
    fence: dict[str, Any] = {"namespaces": list(project.namespaces), "clusterScoped": project.cluster_scoped}
    return app.model_copy(update={"options": {**app.options, "fence": fence, "runAs": project.run_as or own}})
