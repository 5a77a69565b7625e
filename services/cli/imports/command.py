"""`towline import`: read what another tool reads, and write a fleet that gives the same objects.

What does it is loaded when a command runs: half a second that help does not need.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Reported = Literal["text", "json"]
_Out = Annotated[
    Path, Parameter(name=["--out", "-o"], help="The folder to write the fleet to; it must be empty or absent.")
]
_Form = Annotated[Reported, Parameter(name="--report", help="Form of the report.")]
_Rev = Annotated[str, Parameter(name="--rev", help="A branch, tag or commit of the repository, instead of its files.")]
_Entries = Annotated[
    tuple[str, ...],
    Parameter(name="--entry", negative="", help="CLUSTER=FOLDER: where a cluster begins; found by itself mostly."),
]
_Clusters = Annotated[
    tuple[str, ...],
    Parameter(name="--cluster", negative="", help="NAME,label=value,...: a cluster that the other tool knows."),
]


def flux(
    path: Path,
    /,
    *,
    out: _Out = Path("fleet"),
    entry: _Entries = (),
    below: Annotated[str, Parameter(help="The folder of the repository that PATH is, where it is not all of it.")] = "",
    rev: _Rev = "",
    report: _Form = "text",
) -> int:
    """Write a fleet from a repository for Flux.

    Args:
        path: A checkout, or a bare repository.
        out: Where to write.
        entry: Where clusters begin.
        below: What the repository calls this folder.
        rev: Which commit.
        report: How to report.
    """
    from services.cli.imports.importing import import_flux

    return import_flux(path, rev, out, report, entries=entry, below=below)


def argocd(
    path: Path,
    /,
    *,
    out: _Out = Path("fleet"),
    url: Annotated[str, Parameter(help="The address of this repository, as Applications name it.")] = "",
    cluster: _Clusters = (),
    rev: _Rev = "",
    report: _Form = "text",
) -> int:
    """Write a fleet from a repository for Argo CD.

    Args:
        path: A checkout, or a bare repository.
        out: Where to write.
        url: What the repository is called; without it, sources whose path is there are taken for it.
        cluster: Clusters with their labels.
        rev: Which commit.
        report: How to report.
    """
    from services.cli.imports.importing import import_argocd

    return import_argocd(path, rev, out, report, url=url, clusters=cluster)


def fleet(
    path: Path,
    /,
    *,
    out: _Out = Path("fleet"),
    cluster: _Clusters = (),
    rev: _Rev = "",
    report: _Form = "text",
) -> int:
    """Write a fleet from a repository for Rancher's Fleet.

    Args:
        path: A checkout, or a bare repository.
        out: Where to write.
        cluster: Clusters with their labels; without any, one for each set of labels that the repository names.
        rev: Which commit.
        report: How to report.
    """
    from services.cli.imports.importing import import_fleet

    return import_fleet(path, rev, out, report, clusters=cluster)
