"""Write changes of the read model: upserts that only ever move a version forward."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor.changes import Change, RenderFinished
from services.auditor.tables import metadata, renders, targets
from shared.runtime.database import upsert

_STAGED = ("targets", "renders", "revisions", "clusters")
"""Tables that the stages of revisions depend on."""
_UNRENDERED = {
    "render_source": "",
    "render_number": 0,
    "render_at": "",
    "render_bundle": "",
    "render_failed": False,
    "render_problems": None,
    "repositories": "",
}


async def apply(connection: AsyncConnection, changes: Sequence[Change]) -> bool:
    """Write `changes`, and tell whether stages of revisions may have moved."""
    by_kind: dict[type[Change], list[Change]] = {}
    for change in changes:
        by_kind.setdefault(type(change), []).append(change)
    for kind, same in by_kind.items():
        table = metadata.tables[kind.TABLE]
        await connection.execute(upsert(connection, table, same[0].row(), kind.VERSION), [each.row() for each in same])
    await _sweep(connection, {each.source for each in changes if isinstance(each, RenderFinished)})
    return any(kind.TABLE in _STAGED for kind in by_kind)


async def _sweep(connection: AsyncConnection, sources: set[str]) -> None:
    """Forget the renders of targets that a later complete render of the same source no longer has.

    Done from what is stored, so that it does not matter in which order renders arrive. A target that nothing but a
    render ever named is gone with it.
    """
    for source in sorted(sources):
        complete = (
            select(renders.c.number, renders.c.finished_at)
            .where(renders.c.source == source, renders.c.complete)
            .order_by(renders.c.number.desc(), renders.c.finished_at.desc())
            .limit(1)
        )
        newest = (await connection.execute(complete)).first()
        if newest is None:
            continue
        left_out = and_(
            targets.c.render_source == source,
            tuple_(targets.c.render_number, targets.c.render_at) < tuple_(newest.number, newest.finished_at),
        )
        await connection.execute(update(targets).where(left_out).values(_UNRENDERED))
    if sources:
        empty = (targets.c.render_source == "", targets.c.generation == 0, targets.c.seen_at == "")
        await connection.execute(delete(targets).where(*empty))
