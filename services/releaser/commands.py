"""Answer commands: each is carried out once, whatever happens, and answered alike when it comes again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from services.releaser.keys import HubKeys
from services.releaser.restored import Restored
from services.releaser.store import PROGRAM, Store, Transaction
from services.releaser.tables import commands
from shared import subjects
from shared.bus.identities import BusKeys
from shared.core.times import time_text
from shared.errors import PermanentError
from shared.messages.facts import Command, Fact


class CommandRefusedError(PermanentError):
    """A command cannot be carried out; somebody must ask for something else."""

    code = "releaser.refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    ok: bool = True
    code: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What commands work with."""

    keys: HubKeys
    bus_keys: BusKeys
    restored: Restored
    hub_url: Callable[[], str]
    """Where agents reach the hub by HTTP."""
    bus_urls: tuple[str, ...]
    """Where agents reach the bus."""


Verb = Callable[[Transaction, Command, Parts], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Commands:
    """The verbs, and the database that remembers what was answered."""

    store: Store
    parts: Parts
    verbs: Mapping[str, Verb]

    async def carry_out(self, command: Command) -> None:
        """Carry a command out and state how it ended; what it refuses leaves nothing behind but that."""
        try:
            async with self.store.deciding() as tx:
                if not await self._answered(tx, command):
                    await self._answer(tx, command, await self._act(tx, command))
        except PermanentError as error:
            refused = Answer(ok=False, code=error.code, message=str(error))
            async with self.store.deciding() as tx:
                await self._answer(tx, command, refused)

    async def _act(self, tx: Transaction, command: Command) -> Answer:
        verb = self.verbs.get(command.verb)
        if verb is None:
            known = ", ".join(sorted(self.verbs))
            raise CommandRefusedError(f"the releaser knows no command {command.verb!r}", hint=f"it knows {known}")
        return await verb(tx, command, self.parts)

    async def _answered(self, tx: Transaction, command: Command) -> bool:
        """Say the answer again that was given before, if there is one."""
        row = await tx.first(select(commands).where(commands.c.command == command.id))
        if row is None:
            return False
        fact = Fact.from_bytes(row.fact)
        tx.said.append({"id": fact.id, "subject": subjects.fact(PROGRAM, fact.type), "body": row.fact})
        return True

    async def _answer(self, tx: Transaction, command: Command, answer: Answer) -> None:
        fact = tx.say(
            "command-done",
            command=command.id,
            cluster=str(command.arguments.get("cluster") or ""),
            app=str(command.arguments.get("app") or ""),
            message=answer.message,
            severity="info" if answer.ok else "warning",
            data={"verb": command.verb, "ok": answer.ok, "code": answer.code, "result": dict(answer.result)},
        )
        await tx.do(insert(commands), [{"command": command.id, "fact": fact.to_bytes(), "at": time_text(tx.now)}])


def require_known(parts: Parts) -> None:
    """Refuse what could not be released now.

    Raises:
        CommandRefusedError: the database was restored and nobody adopted it yet.
    """
    if parts.restored.pair is not None:
        raise CommandRefusedError(parts.restored.why, code="releaser.restored")


def text(command: Command, name: str, default: str = "") -> str:
    """Return a text of the command's arguments.

    Raises:
        CommandRefusedError: it is something else.
    """
    value = command.arguments.get(name, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise CommandRefusedError(f"{name!r} of {command.verb} must be a text", code="command.argument")
    return value


def texts(command: Command, name: str) -> dict[str, str]:
    """Return a mapping of texts of the command's arguments.

    Raises:
        CommandRefusedError: it is something else.
    """
    value = command.arguments.get(name) or {}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in [*value, *value.values()]):
        raise CommandRefusedError(f"{name!r} of {command.verb} must map texts to texts", code="command.argument")
    return dict(value)


def moment(written: str) -> datetime:
    """Return the time that RFC 3339 text means.

    Raises:
        CommandRefusedError: it is none.
    """
    try:
        found = datetime.fromisoformat(written)
    except ValueError as error:
        raise CommandRefusedError(f"{written!r} is no time in RFC 3339", code="command.argument") from error
    if found.tzinfo is None:
        raise CommandRefusedError(f"{written!r} names no time zone", code="command.argument")
    return found
