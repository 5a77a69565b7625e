"""What people and the releaser ask of the poller: look now, request again or what was lost, say everything again.

Every command is answered by a fact with its id; a command that is delivered twice is done twice and answered once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.poller.charts.deciding import with_charts
from services.poller.charts.keeping import ChartKeeper
from services.poller.observation import fact_id, needed, republished, requested
from services.poller.publishing import Publisher, publish_fact
from services.poller.restoring import restore
from services.poller.rounds import Rounds
from services.poller.watcher import Watcher
from shared.bus.connection import Bus, Delivery
from shared.errors import PermanentError
from shared.messages.facts import Command, Fact
from shared.messages.sources import Lost, Needs
from shared.runtime.logs import get_logger

LOOK_WAIT_S = 15.0
"""So long an answer waits for the looks that were asked for; they go on without it."""


class CommandRefusedError(PermanentError):
    """A command asks for what there is not."""

    code = "command.invalid"


@dataclass(frozen=True, slots=True)
class Commands:
    """Handles the streams COMMANDS and NEEDS."""

    watchers: Mapping[str, Watcher]
    publishers: Mapping[str, Publisher]
    rounds: Rounds
    charts: ChartKeeper
    bus: Bus

    async def take_needs(self, delivery: Delivery) -> None:
        """Follow what a fleet needs."""
        needs = Needs.from_bytes(delivery.data)
        watcher = self.watchers.get(needs.source)
        if watcher is None:
            get_logger().info("needs_of_unknown_source_dropped", source=needs.source)
            return
        await watcher.change(lambda state, now: needed(with_charts(state, needs), needs, now))
        self.rounds.wake()
        self.charts.wake()

    async def take_command(self, delivery: Delivery) -> None:
        """Do what a command asks, and answer it."""
        command = Command.from_bytes(delivery.data)
        log = get_logger().bind(command=command.id, verb=command.verb, actor=command.actor)
        try:
            message, result = await self._do(command)
        except PermanentError as error:
            log.info("command_refused", code=error.code, reason=error.message)
            await publish_fact(self.bus, _answer(command, str(error), {"ok": False, "code": error.code, "result": {}}))
            return
        log.info("command_done", **result)
        await publish_fact(self.bus, _answer(command, message, {"ok": True, "code": "", "result": result}))

    async def _do(self, command: Command) -> tuple[str, dict[str, Any]]:
        chosen = self._chosen(command)
        match command.verb:
            case "sync":
                return await self._sync(chosen)
            case "render":
                reason = str(command.arguments.get("reason") or "render")
                for watcher in chosen:
                    await watcher.change(lambda state, now: requested(state, reason, now))
                return f"requested {_names(chosen)}", {"sources": [watcher.name for watcher in chosen]}
            case "restore":
                return await self._restore(command, chosen)
            case "rebuild":
                for watcher in chosen:
                    await watcher.change(republished)
                self.charts.wake()
                return f"said again: {_names(chosen)}", {"sources": [watcher.name for watcher in chosen]}
            case _:
                raise CommandRefusedError(
                    f"the poller does not know the command {command.verb!r}",
                    hint="it knows sync, render, restore and rebuild",
                )

    async def _sync(self, chosen: Sequence[Watcher]) -> tuple[str, dict[str, Any]]:
        for watcher in chosen:
            self.charts.urge(watcher.name)
        try:
            async with asyncio.timeout(LOOK_WAIT_S), asyncio.TaskGroup() as looks:
                for watcher in chosen:
                    looks.create_task(self.rounds.look_now(watcher.name))
        except TimeoutError:
            return "still looking", {"sources": [watcher.name for watcher in chosen]}
        tips = {w.name: w.state.main.revision.commit.id for w in chosen if w.state.main.revision is not None}
        failing = {w.name: w.state.main.failing.message for w in chosen if w.state.main.failing is not None}
        told = [f"{name} is at {commit[:12]}" for name, commit in tips.items() if name not in failing]
        told += [f"{name} cannot be had: {why}" for name, why in failing.items()]
        return "; ".join(told), {"tips": tips, "failing": failing}

    async def _restore(self, command: Command, chosen: Sequence[Watcher]) -> tuple[str, dict[str, Any]]:
        try:
            lost = [Lost.model_validate(each) for each in command.arguments.get("lost", ())]
        except (ValidationError, TypeError) as error:
            raise CommandRefusedError("what was lost is told in a way that this poller does not read") from error
        asked: list[str] = []
        failed: list[str] = []
        for watcher in chosen:
            commits, why = await restore(self.publishers[watcher.name], lost)
            asked, failed = [*asked, *commits], [*failed, *why]
        told = "; ".join([*(f"{commit} is rendered again" for commit in asked), *failed])
        return told or "nothing was lost", {"commits": asked, "failed": failed}

    def _chosen(self, command: Command) -> list[Watcher]:
        name = command.arguments.get("source")
        if not name:
            return list(self.watchers.values())
        if name not in self.watchers:
            known = ", ".join(sorted(self.watchers)) or "none"
            raise CommandRefusedError(
                f"there is no source {name!r}", code="source.unknown", hint=f"the hub watches: {known}"
            )
        return [self.watchers[name]]


def _names(watchers: Iterable[Watcher]) -> str:
    return ", ".join(watcher.name for watcher in watchers) or "no source"


def _answer(command: Command, message: str, data: dict[str, Any]) -> Fact:
    return Fact(
        id=fact_id("command-done", command.id),
        program="poller",
        type="command-done",
        source=str(command.arguments.get("source") or ""),
        command=command.id,
        message=message,
        data=data,
        at=Watcher.now(),
    )
