"""Commands: what people ask of the poller and the releaser, written down before it is sent.

The auditor only relays. The program that acts answers by a fact with the command's id, and whoever waits for it here
gets the fact as it came; the ledger and the read model keep it without what could open something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.auditor.changes import CommandDone, CommandGiven, Folded
from services.auditor.facts import redacted
from services.auditor.ledger import Event
from services.auditor.store import Store
from shared import subjects
from shared.core.times import time_text
from shared.errors import TransientError
from shared.messages.facts import Command, Fact
from shared.messages.reports import Answer

ANSWER_TIMEOUT_S = 30.0
AGENT_TIMEOUT_S = 15.0
MAX_WAITING = 1000
PROGRAMS = ("poller", "releaser")

Publish = Callable[[str, bytes], Awaitable[object]]


class NoAnswerError(TransientError):
    """The program that should act did not answer in time."""

    code = "command.no-answer"


class AgentAwayError(TransientError):
    """The agent that was asked did not answer in time."""

    code = "agent.no-answer"


@dataclass(slots=True)
class Desk:
    """Takes commands, and hands each answer to who waits for it."""

    store: Store
    publish: Publish
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    agent_timeout_s: float = AGENT_TIMEOUT_S
    _waiting: dict[str, asyncio.Future[Fact]] = field(default_factory=dict)
    _asked: dict[str, asyncio.Future[Answer]] = field(default_factory=dict)

    async def give(
        self,
        program: str,
        verb: str,
        arguments: Mapping[str, Any],
        *,
        actor: str,
        reason: str = "",
        number: str = "",
    ) -> str:
        """Write a command down, send it, and return its id, which is `number` where one is given.

        Raises:
            TransientError: the bus or the database cannot be reached; nothing was asked.
        """
        command = _command(verb, arguments, actor, reason=reason, number=number)
        await self._send(program, command)
        return command.id

    async def ask(self, program: str, verb: str, arguments: Mapping[str, Any], *, actor: str, number: str = "") -> Fact:
        """Send a command and return the fact that answers it.

        Raises:
            NoAnswerError: nobody answered in time.
            TransientError: the bus or the database cannot be reached, or too many wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise TransientError("too many commands wait for an answer", hint="try again in a minute")
        command = _command(verb, arguments, actor, number=number)
        answer: asyncio.Future[Fact] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = answer
        try:
            await self._send(program, command)
            async with asyncio.timeout(self.answer_timeout_s):
                return await answer
        except TimeoutError as error:
            raise NoAnswerError(
                f"the {program} did not answer {verb!r} within {self.answer_timeout_s:.0f} s",
                hint=f"see whether the {program} runs, then try again",
            ) from error
        finally:
            del self._waiting[command.id]

    async def inquire(self, cluster: str, arguments: Mapping[str, Any], *, actor: str) -> Answer | Fact:
        """Have an agent asked and return what it says; the releaser's fact where that refuses to ask.

        Raises:
            AgentAwayError: the agent did not answer in time.
            TransientError: as of `ask`.
        """
        number = str(uuid4())
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = told
        try:
            sent = await self.ask("releaser", "ask", {**arguments, "cluster": cluster}, actor=actor, number=number)
            if not sent.data.get("ok"):
                return sent
            async with asyncio.timeout(self.agent_timeout_s):
                return await told
        except TimeoutError as error:
            raise AgentAwayError(
                f"the agent of {cluster} did not answer within {self.agent_timeout_s:.0f} s",
                hint=f"see whether it is connected: towline get clusters {cluster}",
            ) from error
        finally:
            del self._asked[number]

    def told(self, answer: Answer) -> None:
        """Hand an agent's answer to who waits for it."""
        waiting = self._asked.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def answered(self, fact: Fact) -> None:
        """Hand a fact to who waits for it."""
        waiting = self._waiting.get(fact.command)
        if waiting is not None and not waiting.done():
            waiting.set_result(fact)

    async def _send(self, program: str, command: Command) -> None:
        await self.store.write([_given(program, command)])
        try:
            await self.publish(subjects.command(program, command.id), command.to_bytes())
        except TransientError as error:
            await self.store.write([_unsent(command, error)])
            raise


def _given(program: str, command: Command) -> Folded:
    arguments = redacted(command.arguments)
    event = Event(
        key=f"command/{command.id}",
        type="command.given",
        time=command.at,
        cluster=str(arguments.get("cluster") or ""),
        app=str(arguments.get("app") or ""),
        source=str(arguments.get("source") or ""),
        message=f"{command.actor} asked the {program} for {command.verb}",
        data={
            "id": command.id,
            "program": program,
            "verb": command.verb,
            "arguments": arguments,
            "actor": command.actor,
            "reason": command.reason,
        },
    )
    row = CommandGiven(
        command=command.id,
        program=program,
        verb=command.verb,
        arguments=arguments,
        actor=command.actor,
        reason=command.reason,
        given_at=time_text(command.at),
    )
    return Folded((event,), (row,))


def _unsent(command: Command, error: TransientError) -> Folded:
    row = CommandDone(
        command=command.id,
        ok=False,
        code=error.code,
        message=f"was not sent: {error.message}",
        result={},
        done_at=time_text(datetime.now(UTC)),
    )
    return Folded((), (row,))


def _command(verb: str, arguments: Mapping[str, Any], actor: str, *, reason: str = "", number: str = "") -> Command:
    return Command(
        id=number or str(uuid4()),
        verb=verb,
        arguments=dict(arguments),
        actor=actor,
        reason=reason,
        at=datetime.now(UTC),
    )
