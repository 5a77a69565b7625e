"""Build kustomizations without kubectl, where that was proven to give what kubectl gives; runs in the confined child.

What a kustomization uses, and the kinds it makes, is its shape. The first of each shape is built both ways: only when both
are equal the next ones are built here alone. Tests compare the two on far more; this holds them together where they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from services.renderer.engines.afterwards import changes_of
from services.renderer.engines.jobs import Answer, Job
from services.renderer.engines.making import bundled
from services.renderer.finish import Piece, finished
from services.renderer.kustomize import Builder, OutsideError
from shared.core.canonical import digest, encode
from shared.errors import FindingsError

# What no test has thought of is kubectl's to say: the files are anybody's.
_SURPRISES = (OutsideError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


def answered(job: Job, by_kubectl: Callable[[], Answer]) -> Answer:
    """Return the answer to a job for kustomize: built here, by kubectl, or by both.

    Raises:
        FindingsError: why there is no bundle.
    """
    try:
        built = _builder().build(job.files, job.root, job.layers)
    except _SURPRISES:
        return by_kubectl()
    shape = digest(encode(sorted(built.features)))[:16]
    pieces = [Piece(each) for each in built.objects]
    match job.shapes.get(shape):
        case True:
            return replace(bundled(job, pieces), shape=shape)
        case False:
            return by_kubectl()
    answer = by_kubectl()
    return replace(answer, shape=shape, equal=_data(pieces, job) == answer.data)


def _data(pieces: list[Piece], job: Job) -> bytes:
    try:
        return finished(pieces, job.namespace, changes_of(job)).data
    except FindingsError:
        return b""


@cache
def _builder() -> Builder:
    """Return the builder of this process, which keeps what bases build."""
    return Builder()
