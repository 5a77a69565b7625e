"""Commands that people give, facts that programs state, events that the world may read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from shared.messages.base import Message, Timestamp


class Command(Message):
    """What somebody asked for (stream COMMANDS).

    Verbs of the releaser: `cluster-add`, `cluster-labels`, `cluster-approve`, `cluster-revoke`, `cluster-remove`,
    `enrol`, `renew`, `suspend`, `resume`, `approve`, `rebuild`, `sync`, `adopt`.
    Verbs of the poller: `sync`, `render`, `rebuild`.
    """

    id: str
    verb: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    actor: str
    reason: str = ""
    at: Timestamp


class Fact(Message):
    """Something that happened, in the past tense (stream FACTS, subject `towline.fact.<program>.<type>`).

    Types: `source-failed`, `source-recovered`, `revision-superseded`, `render-failed`, `released`, `removed`,
    `rollout-started`, `rollout-advanced`, `rollout-paused`, `rollout-finished`, `held`, `approved`,
    `hold-dissolved`, `suspended`, `resumed`, `cluster-joined`, `cluster-changed`, `cluster-quarantined`, `command-done`, ...
    """

    id: str
    """UUID, kept across retries: the ledger stores it once."""
    program: str
    type: str
    source: str = ""
    cluster: str = ""
    app: str = ""
    commit: str = ""
    command: str = ""
    """Id of the command that this answers."""
    message: str = ""
    severity: Literal["info", "warning", "error"] = "info"
    data: dict[str, Any] = Field(default_factory=dict)
    at: Timestamp


class CloudEvent(Message):
    """CloudEvents 1.0 in structured JSON (stream EVENTS, SSE, `towline events -o json`)."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """Position in the ledger, as decimal text: the cursor to resume from."""
    source: str
    """`/towline/<hub>`."""
    type: str
    """`dev.towline.<noun>.<verb>.v1`."""
    subject: str
    """`<cluster>/<app>`, `<source>@<commit>`, ..."""
    time: Timestamp
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any] = Field(default_factory=dict)
