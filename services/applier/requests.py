"""Write down the one request that applies an object, and send the requests of steps."""

from __future__ import annotations

from services.applier.errors import Failure, unreachable
from services.applier.kube.mapper import Resource
from services.applier.kube.session import (
    APPLY,
    WRITE_TIMEOUT_S,
    ClusterUnreachableError,
    Reply,
    Request,
    Sender,
)
from services.applier.planned import Create, Patch
from services.applier.tracking import MANAGER
from shared.errors import TransientError


class StepFailedError(TransientError):
    """A step cannot go on; what came of it is a failure of its object."""

    code = "step.failed"

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.failure = failure


def apply_request(resource: Resource, step: Create | Patch, body: bytes) -> Request:
    """Return the request by which `body` is applied as a step says; the answer is the whole object (D17)."""
    query = {
        "fieldManager": MANAGER,
        "force": "true" if step.force else "false",
        "fieldValidation": "Strict" if step.wanted.policy.validate else "Ignore",
    }
    path = resource.path(step.key.namespace, step.key.name)
    return Request("PATCH", path, query, body, content_type=APPLY, timeout_s=WRITE_TIMEOUT_S)


async def answer_to(sender: Sender, request: Request) -> Reply:
    """Return the answer to a request of a step; without one the step ends."""
    try:
        return await sender.send(request)
    except ClusterUnreachableError as error:
        raise StepFailedError(unreachable(error.message)) from error
