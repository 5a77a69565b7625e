"""Make the answer to a job: have its engine make objects, bring them into a bundle, and check them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from services.renderer.engines.afterwards import changes_of
from services.renderer.engines.jobs import Answer, Job
from services.renderer.engines.origins import Origins
from services.renderer.finish import Piece, finished
from services.renderer.schemas.findings import schema_findings
from shared.errors import Finding, FindingsError

Engine = Callable[[Job, Path], tuple[list[Piece], list[Finding]]]


def made(job: Job, engine: Engine, folder: Path) -> Answer:
    """Return the bundle of a job.

    Raises:
        FindingsError: what forbids one.
    """
    pieces, warnings = engine(job, folder)
    return bundled(job, pieces, warnings)


def bundled(job: Job, pieces: Sequence[Piece], warnings: Sequence[Finding] = ()) -> Answer:
    """Return the bundle of the objects of a job.

    Raises:
        FindingsError: what forbids one.
    """
    bundle = finished(pieces, job.namespace, changes_of(job))
    severity = "error" if job.strict else "warning"
    # What SOPS encrypted has texts for values of any type, and SOPS' own entry.
    read = [piece for piece in bundle.pieces if "sops" not in piece.manifest]
    refused = schema_findings(read, job.schemas, Origins(lambda: job.files).of, severity=severity)
    if job.strict and refused:
        raise FindingsError(refused)
    return Answer(bundle.data, bundle.keys, (*warnings, *bundle.warnings, *refused))
