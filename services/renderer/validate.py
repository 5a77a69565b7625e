"""Find what only shows in a fleet as a whole and forbids nothing: dependencies that are not there."""

from __future__ import annotations

from collections.abc import Iterator

from services.renderer.targets import Plan
from shared.errors import Finding
from shared.fleet.model import App


def fleet_findings(plan: Plan) -> list[Finding]:
    """Return what only shows when apps, clusters and rollouts are seen together."""
    if not plan.fleet.readable:
        return []
    return list(_dependencies(plan))


def _dependencies(plan: Plan) -> Iterator[Finding]:
    """Yield a note for each dependency that cannot hold anything up."""
    places: dict[str, set[str]] = {}
    for target in plan.targets:
        places.setdefault(target.app, set()).add(target.cluster)
    names = {app.name for app in plan.fleet.apps} | set(plan.fleet.unreadable_apps)
    for app in plan.fleet.apps:
        for wanted in app.written.sync.depends_on:
            alone = sorted(places.get(app.name, set()) - places.get(wanted, set()))
            if wanted not in names:
                yield _note(app, f"the app {wanted!r}, on which it depends, is not in this source")
            elif alone:
                yield _note(
                    app, f"it depends on {wanted!r}, which is not on {', '.join(alone[:5])}: there it waits for nothing"
                )


def _note(app: App, message: str) -> Finding:
    return Finding("fleet.dependency", message, app.file, app.line, app.column, app=app.name, severity="warning")
