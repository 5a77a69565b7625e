"""Find apps that depend on each other: none of them could ever come first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.core.cycles import cycle_of
from shared.errors import Finding
from shared.fleet.model import App


def circles(apps: Sequence[App]) -> Iterator[Finding]:
    """Yield what is wrong with each app that depends on itself, with the way along which it does."""
    edges = {app.name: app.written.sync.depends_on for app in apps}
    for app in apps:
        if way := cycle_of(app.name, edges):
            text = f"apps depend on each other: {' -> '.join(way)}"
            hint = "take one of these out of its `dependsOn`"
            yield Finding("fleet.dependency-cycle", text, app.file, *app.depends_at, hint, app=app.name)
