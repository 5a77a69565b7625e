"""Decide which archive the chart of an app is that comes from a chart repository: the one that the lock names.

The archive is shown as one more file of the app's tree, so that it is read, limited and rendered like one that is in git.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.core.trees import Entry, EntryKind, Tree
from shared.errors import Finding, FindingsError
from shared.fleet.files import Helm
from shared.fleet.locks import COMMAND, LOCK, Lock, LockedChart
from shared.fleet.model import App
from shared.messages.sources import WantedChart


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive as it could be had."""

    read: Callable[[], bytes] | None = None
    """None: it could not be had, and `finding` says why."""
    finding: Finding | None = None


Archives = Mapping[str, Archive]
"""By sha256 in hex; one that is not there has not been tried yet."""


class WithArchive:
    """A tree with an archive at its root."""

    def __init__(self, tree: Tree, chart: LockedChart, read: Callable[[], bytes]) -> None:
        self._tree = tree
        self._entry = Entry(chart.file_name, EntryKind.FILE, chart.sha256)
        self._read = read

    def entry(self, path: str) -> Entry | None:
        """Return what stands at `path`, or None."""
        return self._entry if path == self._entry.name else self._tree.entry(path)

    def folder(self, path: str) -> Sequence[Entry]:
        """Return the entries of the folder at `path`; the archive is no part of any."""
        return self._tree.folder(path)

    def read(self, path: str) -> bytes:
        """Return the content of the file at `path`."""
        return self._read() if path == self._entry.name else self._tree.read(path)


def from_repository(app: App) -> Helm | None:
    """Return what an app says about its chart, if that is in a chart repository."""
    helm = app.written.helm
    return helm if helm is not None and helm.repo else None


def wanted(apps: Iterable[App], lock: Lock) -> tuple[WantedChart, ...]:
    """Return the archives that these apps need, sorted."""
    asked = (helm for app in apps if (helm := from_repository(app)) is not None)
    locked = {chart.sha256: chart.url for helm in asked if (chart := lock.of(helm)) is not None}
    return tuple(WantedChart(url=url, digest=digest) for digest, url in sorted(locked.items()))


def with_chart(app: App, tree: Tree, lock: Lock, archives: Archives) -> tuple[Tree, str] | None:
    """Return the app's tree and where its chart is in it; an empty place: where the app says. None: it is on its way.

    Raises:
        FindingsError: the lock does not say which archive is meant, or that could not be had.
    """
    helm = from_repository(app)
    if helm is None:
        return tree, ""
    chart = lock.of(helm)
    if chart is None:
        raise FindingsError(list(lock.findings) or [_not_locked(app, helm, lock)])
    archive = archives.get(chart.sha256)
    if archive is None:
        return None
    if archive.read is None:
        raise FindingsError(
            [_at_app(archive.finding or Finding("source.unreachable", "it could not be had"), app, chart)]
        )
    return WithArchive(tree, chart, archive.read), chart.file_name


def _not_locked(app: App, helm: Helm, lock: Lock) -> Finding:
    other = next((each for each in lock.charts if (each.repo, each.chart) == (helm.repo.rstrip("/"), helm.chart)), None)
    knows = f"which has it for {other.asked!r}" if other else "which says nothing about it"
    text = f"the chart {helm.chart} {helm.version} of {helm.repo} is not in {LOCK}, {knows}"
    hint = f"run `{COMMAND}` at the root of the repository, and commit {LOCK}"
    return Finding("fleet.chart-not-locked", text, app.file, *app.helm_at, hint, app=app.name)


def _at_app(cause: Finding, app: App, chart: LockedChart) -> Finding:
    text = f"the chart {chart.chart} {chart.version} could not be had: {cause.message}"
    return Finding(cause.code, text, app.file, *app.helm_at, cause.hint, app=app.name)
