"""The route by which people ask an agent about an app's objects: only it knows them, and nothing of it is kept here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.auditor.api.access import actor_of
from services.auditor.api.layer import Api, Call
from services.auditor.api.steering import RefusedError, result_of
from services.auditor.desk import Desk
from shared.messages.facts import Fact


class AskAgent(BaseModel):
    """What an agent is asked about one app."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: Literal["objects", "diff"]
    after: str = Field(default="", max_length=1000)
    """Go on after this object's key."""
    key: str = Field(default="", max_length=1000)
    """Only this object."""


class AgentAnswer(BaseModel):
    """What an agent says: secrets were masked before it left the cluster."""

    message: str
    body: dict[str, Any]


def declare(api: Api, desk: Desk) -> None:
    """Declare the route; a POST, for the answer is made anew each time."""

    @api.post("/api/v1/targets/{cluster}/{app}/ask", "Ask an app's agent", asked=AskAgent, answer=AgentAnswer)
    async def ask(call: Call[AskAgent]) -> AgentAnswer:
        arguments = {"app": call.part("app"), **call.asked.model_dump()}
        said = await desk.inquire(call.part("cluster"), arguments, actor=actor_of(call.request))
        if isinstance(said, Fact):
            result_of(said)
            raise RefusedError("the agent was not asked")
        if not said.ok:
            raise RefusedError(said.message, code="agent.refused")
        return AgentAnswer(message=said.message, body=dict(said.body))
