"""Read and write `charts.lock`: which archive each chart of a chart repository means, by its digest.

It stands at the root of the repository that holds the apps, is sorted, and has one block for each chart, so that changes of
different charts merge. Rendering never asks a chart repository which version is meant: that would be no function of git.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from shared.core.trees import Tree
from shared.errors import Finding
from shared.fleet.checking import checked, sole_document
from shared.fleet.files import Helm, Written

LOCK = "charts.lock"
ARCHIVE_BYTES = 32 << 20
"""Of a packed chart; the largest that people publish have two."""
COMMAND = "towline lock"
_HEAD = f"# Written by `{COMMAND}`: the archive that each chart of app.yaml means. Commit it; do not edit it.\n"

Asked = tuple[str, str, str]
"""A chart as an app asks for it: repository, chart, version or range."""


class LockedChart(Written):
    """One chart: as it is asked for, and what that means."""

    repo: Annotated[str, Field(min_length=1)]
    chart: Annotated[str, Field(min_length=1)]
    asked: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^(https?|oci)://\S+$")]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

    @property
    def key(self) -> Asked:
        """What distinguishes it within the file."""
        return self.repo, self.chart, self.asked

    @property
    def sha256(self) -> str:
        """The digest of the archive, in hex."""
        return self.digest.removeprefix("sha256:")

    @property
    def file_name(self) -> str:
        """The name of the archive, as people know it."""
        return f"{self.chart.rpartition('/')[2]}-{self.version}.tgz"


class LockFile(Written):
    """`charts.lock`."""

    version: Literal[1]
    charts: tuple[LockedChart, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """What the file says, and what is wrong with it."""

    charts: tuple[LockedChart, ...] = ()
    findings: tuple[Finding, ...] = ()

    def of(self, helm: Helm) -> LockedChart | None:
        """Return what is locked for an app's chart, exactly as it asks for it."""
        return next((each for each in self.charts if each.key == asked_by(helm)), None)


def asked_by(helm: Helm) -> Asked:
    """Return which chart an app asks for."""
    return helm.repo.rstrip("/"), helm.chart, helm.version


def read_lock(tree: Tree) -> Lock:
    """Return the lock of a repository; an empty one where there is none."""
    if tree.entry(LOCK) is None:
        return Lock()
    findings: list[Finding] = []
    document = sole_document(tree, LOCK, findings)
    file = checked(LockFile, document, findings) if document else None
    if file is None:
        return Lock(findings=tuple(findings))
    return Lock(file.charts, tuple(findings))


def lock_text(charts: Iterable[LockedChart]) -> str:
    """Return the text of the file."""
    blocks = [
        f"\n- repo: {_quoted(each.repo)}\n  chart: {_quoted(each.chart)}\n  asked: {_quoted(each.asked)}\n"
        f"  version: {_quoted(each.version)}\n  url: {_quoted(each.url)}\n  digest: {each.digest}\n"
        for each in sorted(charts, key=lambda each: each.key)
    ]
    return f"{_HEAD}version: 1\ncharts:" + ("".join(blocks) if blocks else " []\n")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
