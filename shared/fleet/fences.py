"""Say which fences of the format are read but hold nothing back yet, so that nobody relies on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shared.core.kubeyaml import Document
from shared.errors import Finding
from shared.fleet.checking import Path
from shared.fleet.files import FleetFile


def of_fleet(document: Document, written: FleetFile) -> Iterator[Finding]:
    """Yield a warning for each fence that `fleet.yaml` declares."""
    for name, project in written.projects.items():
        for key, given in (("sources", project.sources), ("clusters", project.clusters)):
            if given:
                text = f"the project {name!r} does not bind its apps to {key} yet, to namespaces and kinds it does"
                yield _finding(document, text, ("projects", name, key))
    for name, source in written.sources.items():
        if source.verify is not None:
            text = f"the commits of the source {name!r} are taken without looking at their signatures yet"
            yield _finding(document, text, ("sources", name, "verify"))


def _finding(document: Document, text: str, path: Path) -> Finding:
    hint = "limit it by other means, such as the rights of the agent's service account"
    return replace(document.finding("fleet.not-enforced", text, path, hint=hint), severity="warning")
