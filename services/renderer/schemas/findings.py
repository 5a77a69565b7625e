"""Say which objects of an app their schemas refuse, at the place where they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from services.renderer.finish import Piece, named
from shared.core.objects import Manifest
from shared.errors import Finding

Place = tuple[str, int, int]
Finder = Callable[[Manifest, Sequence[str | int]], Place | None]
"""Finds where something of an object is written, if that is to be found."""
MOST = 200
"""Of one app: the same mistake in a thousand objects is one mistake."""


def can_check() -> bool:
    """Tell whether what reads schemas is installed."""
    try:
        import jsonschema_rs  # noqa: F401, PLC0415  # an extra of the command
    except ImportError:
        return False
    return True


def schema_findings(
    pieces: Sequence[Piece],
    version: str,
    find: Finder,
    *,
    severity: str = "error",
    definitions: Sequence[Manifest] = (),
) -> list[Finding]:
    """Return what the schemas of a version of Kubernetes, of definitions among the pieces and of others say against them."""
    if not (version and can_check()):
        return []
    # An extra of the command: who renders plain manifests only does without.
    from services.renderer.schemas.check import Checker  # noqa: PLC0415

    checker = Checker(version, [*definitions, *(each.manifest for each in pieces)])
    found = (
        Finding(
            problem.code,
            f"{named(piece.manifest)}: {problem.message}",
            *_place(piece, problem.path, find),
            problem.hint,
            severity=severity,
        )
        for piece in pieces
        for problem in checker.problems(piece.manifest)
    )
    return list(islice(found, MOST))


def _place(piece: Piece, path: Sequence[str | int], find: Finder) -> Place:
    if piece.mark:
        return (piece.file, *piece.mark(path))
    return find(piece.manifest, path) or (piece.file, 0, 0)
