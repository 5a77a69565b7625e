"""Believe an agent about its own cluster only."""

from __future__ import annotations

from shared import subjects
from shared.errors import PermanentError


class ForgedError(PermanentError):
    """An agent speaks for another cluster."""

    code = "message.forged"


def check_sender(subject: str, cluster: str) -> None:
    """Hold a message to the cluster of its subject, which is the one that the bus let in.

    Raises:
        ForgedError: it names another.
    """
    sender = subjects.token(subject, 1)
    if sender != cluster:
        raise ForgedError(f"the agent of cluster {sender!r} sent a message in the name of {cluster!r}")
