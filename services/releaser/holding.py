"""What waits for a person at the hub: kept until it is approved, or no longer true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from services.releaser.store import Transaction
from services.releaser.tables import holds
from shared.core.times import time_text

TOMBSTONES, ORPHANS, ROLLOUT = "tombstones", "orphans", "rollout"


def hold_id(kind: str, of: str) -> str:
    """Return the name of a hold: one for each source's tombstones, cluster's orphans, app's rollout."""
    return f"{kind}/{of}"


async def hold(tx: Transaction, kind: str, of: str, *, digest: str, message: str, **fields: Any) -> None:
    """Hold something, or say anew what is held; nothing when the same is held already.

    Args:
        tx: the decision that this is part of.
        kind: tombstones, orphans or rollout.
        of: the source, cluster or app.
        digest: what an approval must name.
        message: why, for people.
        fields: `source`, `commit`, `cluster`, `app`, `number` and `body`.
    """
    name = hold_id(kind, of)
    old = await tx.first(select(holds.c.digest).where(holds.c.hold == name))
    if old is not None and old.digest == digest:
        return
    named = {each: str(fields.get(each, "")) for each in ("source", "commit", "cluster", "app")}
    number, body = int(fields.get("number", 0)), dict(fields.get("body", {}))
    told = {"digest": digest, "message": message, "number": number, "body": body}
    await tx.put(holds, [{"hold": name, "kind": kind, **named, **told, "held_at": time_text(tx.now)}])
    tx.say(
        "held",
        **named,
        message=message,
        severity="warning",
        data=_data(name, kind, digest, number, body=body, named=named),
    )


async def let_go(tx: Transaction, kind: str, of: str, *, actor: str = "", reason: str = "") -> Any | None:
    """Forget a hold and return its row; an actor approved it, without one it is no longer true."""
    name = hold_id(kind, of)
    row = await tx.first(select(holds).where(holds.c.hold == name))
    if row is None:
        return None
    await tx.do(delete(holds).where(holds.c.hold == name))
    named = {each: getattr(row, each) for each in ("source", "commit", "cluster", "app")}
    data = _data(name, kind, row.digest, row.number, body=row.body or {}, named=named)
    if actor:
        message = f"{actor} approved: {row.message}"
        tx.say("approved", **named, message=message, data={**data, "actor": actor, "reason": reason})
    else:
        tx.say("hold-dissolved", **named, message=f"no longer so: {row.message}", data=data)
    return row


def _data(
    name: str, kind: str, digest: str, number: int, *, body: Mapping[str, Any], named: Mapping[str, str]
) -> dict[str, Any]:
    shown = {**body, "targets": list(body.get("targets", ()))[:50]} if "targets" in body else dict(body)
    return {"id": name, "kind": kind, "approval": digest, "number": number, "commit": named["commit"], **shown}


async def all_of(tx: Transaction, kind: str) -> list[Any]:
    """Return the holds of a kind."""
    return await tx.rows(select(holds).where(holds.c.kind == kind).order_by(holds.c.hold))
