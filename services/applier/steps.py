"""Carry out one step of a plan against the API server, and say what came of it.

Every write is a server-side apply, a delete with the UID as its precondition, or a JSON patch that takes our marks
off. Whatever a request leaves open (no answer, another object of that name) ends as a failure that the next run looks
at again; nothing here guesses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.applier.answered import answered
from services.applier.crds import CRD
from services.applier.errors import ErrorClass, Failure, unreachable
from services.applier.ignoring import rules_for
from services.applier.kinds import INITIALIZING_S, SOON_S, Kinds, unserved
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.reflector import ListError
from services.applier.kube.session import (
    JSON_PATCH,
    METADATA,
    WRITE_TIMEOUT_S,
    ClusterUnreachableError,
    Reply,
    Request,
    Sender,
)
from services.applier.observe import Observer
from services.applier.options import Extras, IgnoreRule
from services.applier.planned import (
    Applied,
    Create,
    Deferred,
    Failed,
    Gone,
    Orphan,
    Outcome,
    Patch,
    Prune,
    Recreate,
    Released,
    SkipReason,
)
from services.applier.policy import Leave
from services.applier.remains import Remains
from services.applier.requests import StepFailedError, answer_to, apply_request
from services.applier.settings import Pace
from services.applier.state import Present, Wanted
from services.applier.takeover import JSONPatch, reviving, taking_over, unmarking
from services.applier.tracking import MANAGER, is_ours, present_of
from services.applier.yielding import without_conflicts, without_ignored
from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, ObjectKey

ATTEMPTS = 5
_AGAIN = frozenset({ErrorClass.STALE, ErrorClass.UNKNOWN_KIND, ErrorClass.INITIALIZING})
# What an object is refused with that its definition of a moment ago does not allow (D16).
_OUTDATED = frozenset({ErrorClass.SCHEMA, ErrorClass.INVALID})


@dataclass(frozen=True, slots=True)
class Steps:
    """The hands of one run."""

    session: Sender
    mapper: Mapper
    observer: Observer
    app: str
    pace: Pace
    timeout_s: float
    """How long an object may take to go away."""
    age_s: Callable[[str], float]
    """How long ago the API server's clock showed this."""
    fence: Callable[[], None]
    """Raises when this agent is no longer the one that may write."""
    recreates: Callable[[Wanted], bool]
    """Tells whether an object may be deleted and made anew when it cannot be changed."""
    deletes_from: Callable[[], float]
    """Monotonic: before it nothing is deleted or given up (M4)."""
    warn: Callable[[str], None]
    remains: Remains
    kinds: Kinds
    ignore: tuple[IgnoreRule, ...] = ()
    """Fields that are left to whoever else owns them (I8)."""
    extras: Extras = Extras.HUMANS
    """Whose fields are taken over (I11)."""
    yields: bool = False
    """Fields in conflict are left to their owners (G3)."""
    compat: bool = True
    """The names of other tools count on live objects."""

    async def apply(self, step: Create | Patch) -> Outcome:
        """Apply an object."""
        uid = step.uid if isinstance(step, Patch) else ""
        if isinstance(step, Patch) and step.takes_over:
            await self._take_over(step)
        body, revived = await self._body(step), False
        for attempt in range(ATTEMPTS):
            # A kind whose definition is new is served a moment after discovery names it (C7).
            resource = await self._wanted(step.wanted, wait_s=INITIALIZING_S if attempt else 0.0)
            before = self.observer.present(step.key)  # read first: the watch may tell of our write before the answer
            reply = await self._write(apply_request(resource, step, _with_uid(body, uid)))
            if reply.ok and reply.body is not None:
                outcome = await self._applied(step.wanted, body, reply, reply.body, before)
                if not isinstance(outcome, Failed):
                    return outcome
                failure = outcome.failure
            else:
                failure = reply.failure(step.key)
            if failure.error is ErrorClass.IMMUTABLE and uid and self.recreates(step.wanted):
                return await self.recreate(Recreate(step.wanted, uid))
            if self.yields and failure.conflicts:
                self.warn(f"{step.key}: left to others: {', '.join(failure.fields)}")
                body = without_conflicts(body, failure.conflicts)
                continue
            if failure.error is ErrorClass.DEAD_VERSION and not revived:
                revived = await self._revive(step.wanted, resource)
                continue
            outdated = failure.error in _OUTDATED and self.kinds.is_settling(step.key)
            if failure.error not in _AGAIN and not outdated:
                break
            await asyncio.sleep(0.0 if failure.error is ErrorClass.STALE else SOON_S * 4**attempt)
        return Failed(_sized(failure, body))

    async def _take_over(self, step: Patch) -> None:
        """Unite with our entry what others set before: the apply that follows drops what nobody wants (D10)."""
        path = self._served_as(step.key).path(step.key.namespace, step.key.name)
        reply = await self._rewritten(path, lambda live: taking_over(live, step.wanted.api_version, self.extras))
        if not reply.ok and (failure := reply.failure(step.key)).error is not ErrorClass.GONE:
            raise StepFailedError(failure)

    async def _revive(self, wanted: Wanted, resource: Resource) -> bool:
        """Move field ownership away from versions that the kind's definition no longer has (D12)."""
        await self.mapper.refresh(older_than_s=0.0)
        served = self.mapper.versions(wanted.key)
        path = resource.path(wanted.key.namespace, wanted.key.name)
        reply = await self._rewritten(path, lambda live: reviving(live, wanted.api_version, served))
        if not reply.ok:
            raise StepFailedError(reply.failure(wanted.key))
        return True

    async def recreate(self, step: Recreate) -> Outcome:
        """Delete an object, wait until it is gone, make it anew (H3)."""
        if self._early():
            return Deferred()
        resource = await self._wanted(step.wanted)
        live = await self._read(resource, step.key)
        if live is not None:
            await self._taken_away(resource, step, live)
        outcome = await self.apply(Create(step.wanted))
        if isinstance(outcome, Failed):
            failure = outcome.failure
            return Failed(replace(failure, message=f"it was deleted, and making it anew failed: {failure.message}"))
        return outcome

    async def prune(self, step: Prune) -> Outcome:
        """Delete an object that is still ours, still the same, and not to be kept (F4, F6)."""
        if self._early():
            return Deferred()
        resource = self._served_as(step.key)
        for attempt in range(ATTEMPTS):
            live = await self._read(resource, step.key)
            if live is None:
                self.observer.gone(step.key)
                return Gone()
            if live.uid != step.uid or not is_ours(live, self.app, step.key):
                return Released(SkipReason.NOT_OURS)
            asks = live.asks(compat=self.compat)
            keep = asks.ignore or asks.leaves(removed=step.removed) is Leave.KEEP
            if not live.deleting and (keep or await self._inhabited(step.key)):
                return await self.orphan(Orphan(step.key, step.version, step.uid))
            try:
                await self._taken_away(resource, step, live, step.resource_version)
            except StepFailedError as error:
                if error.failure.error not in {ErrorClass.STALE, ErrorClass.REPLACED} or attempt == ATTEMPTS - 1:
                    raise
            else:
                break
        return Gone()

    async def orphan(self, step: Orphan) -> Outcome:
        """Take our marks off an object and leave it; never by applying less, which would take its fields (F4)."""
        if self._early():
            return Deferred()
        path = self._served_as(step.key).path(step.key.namespace, step.key.name)
        reply = await self._rewritten(
            path, lambda live: unmarking(live) if is_ours(present_of(live), self.app, step.key) else []
        )
        if reply.ok:
            self.observer.gone(step.key)
            return Released(step.why)
        failure = reply.failure(step.key)
        return Gone() if failure.error is ErrorClass.GONE else Failed(failure)

    async def _rewritten(self, path: str, change: Callable[[Manifest], JSONPatch]) -> Reply:
        """Change marks or field ownership of an object by a JSON patch on what was just read; an empty one is not sent."""
        for _ in range(ATTEMPTS):
            reply = await self._send(Request("GET", path, accept=METADATA))
            patch = change(reply.body) if reply.ok and reply.body is not None else []
            if not patch:
                return reply
            query, body = {"fieldManager": MANAGER}, encode(patch)
            reply = await self._write(Request("PATCH", path, query, body, content_type=JSON_PATCH, accept=METADATA))
            if reply.ok or reply.failure().error is not ErrorClass.STALE:
                return reply
        return reply

    async def _inhabited(self, key: ObjectKey) -> bool:
        """Tell whether others' objects would go along with it; what that are is a warning (F8, F9)."""
        try:
            left = await self.remains.of(key)
        except ListError as error:
            raise StepFailedError(error.failure) from error
        except ClusterUnreachableError as error:
            raise StepFailedError(unreachable(error.message)) from error
        if left:
            self.warn(f"{key} is kept: it still holds {left}")
        return bool(left)

    def _early(self) -> bool:
        return time.monotonic() < self.deletes_from()

    async def _wanted(self, wanted: Wanted, *, wait_s: float = 0.0) -> Resource:
        """Return where an object of the bundle is served, or end the step."""
        resource = await self.kinds.resource(wanted.key, wanted.version, wait_s=wait_s)
        # A scope that was learned after the fences were looked at is as good as none: the next run knows it.
        if resource is None or resource.namespaced is not bool(wanted.key.namespace):
            raise StepFailedError(unserved(wanted, self.mapper.versions(wanted.key)))
        return resource

    def _served_as(self, key: ObjectKey) -> Resource:
        """Return where a kind is served today, in whatever version, or end the step."""
        resource = self.mapper.find(key)
        if resource is None:
            raise StepFailedError(Failure(ErrorClass.UNKNOWN_KIND, "its kind is not served now"))
        return resource

    async def _body(self, step: Create | Patch) -> bytes:
        """Return what is sent: all of the object, but for fields that are left to somebody else by now."""
        live = self.observer.present(step.key)
        left = rules_for(step.key, self.ignore) or (live is not None and live.held)
        if isinstance(step, Create) or not left:
            return step.wanted.body
        path = self._served_as(step.key).path(step.key.namespace, step.key.name)
        reply = await self._send(Request("GET", path))
        return without_ignored(step.wanted.body, reply.body or {}, self.ignore) if reply.ok else step.wanted.body

    async def _applied(
        self, wanted: Wanted, sent: bytes, reply: Reply, answer: Manifest, before: Present | None
    ) -> Outcome:
        said = answered(sent, answer, strict=wanted.policy.validate)
        for warning in (*reply.warnings, *said.warnings):
            self.warn(f"{wanted.key}: {warning}")
        live = self.observer.wrote(wanted.key, answer)
        if live.deleting:
            return Failed(Failure(ErrorClass.TERMINATING, "it is being deleted, and is made anew when it is gone"))
        created = reply.status == 201
        changed = created or before is None or before.resource_version != live.resource_version
        if (wanted.key.group, wanted.key.kind) == CRD:
            await self.kinds.established(wanted.key, self._served_as(wanted.key), changed=changed and not created)
        if said.failure:
            return Failed(said.failure)
        return Applied(live.uid, live.resource_version, live.owned, live.owned_at, created=created, changed=changed)

    async def _read(self, resource: Resource, key: ObjectKey) -> Present | None:
        """Return an object's metadata, None when it does not exist."""
        reply = await self._send(Request("GET", resource.path(key.namespace, key.name), accept=METADATA))
        if reply.ok and reply.body is not None:
            return present_of(reply.body)
        failure = reply.failure(key)
        if failure.error is ErrorClass.GONE:
            return None
        raise StepFailedError(failure)

    async def _taken_away(self, resource: Resource, step: Prune | Recreate, live: Present, version: str = "") -> None:
        """Delete an object unless somebody did, then wait until it is gone (F7)."""
        key, going = step.key, live.deleting if live.uid == step.uid else ""
        if not going:
            conditions = {"uid": step.uid, **({"resourceVersion": version} if version else {})}
            body = encode({"preconditions": conditions, "propagationPolicy": step.propagation})
            reply = await self._write(Request("DELETE", resource.path(key.namespace, key.name), body=body))
            if not reply.ok:
                failure = reply.failure(key)
                if failure.error is not ErrorClass.GONE:
                    raise StepFailedError(failure)
            elif (reply.body or {}).get("kind") == "Status":
                self.observer.gone(key)  # the object itself would be the answer if it were still there
                return
        await self._gone(resource, key, step.uid, self.timeout_s - self.age_s(going))

    async def _gone(self, resource: Resource, key: ObjectKey, uid: str, within_s: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        pause_s = SOON_S
        while True:
            live = await self._read(resource, key)
            if live is None or live.uid != uid:
                self.observer.gone(key)
                return
            if loop.time() >= until:
                blockers = ", ".join(live.finalizers) or "none that it names"
                why = f"it is still being deleted; finalizers: {blockers}"
                raise StepFailedError(Failure(ErrorClass.TERMINATING, why))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self.pace.probe_s)

    async def _write(self, request: Request) -> Reply:
        return await self._send(replace(request, timeout_s=WRITE_TIMEOUT_S, fence=self.fence))

    async def _send(self, request: Request) -> Reply:
        return await answer_to(self.session, request)


def _with_uid(body: bytes, uid: str) -> bytes:
    """Return the payload bound to one object: a stranger of that name is refused instead of changed (D8)."""
    if not uid:
        return body
    manifest = decode(body)
    manifest["metadata"]["uid"] = uid
    return encode(manifest)


def _sized(failure: Failure, body: bytes) -> Failure:
    """Return a refusal for an object's size with that size, which the API server does not name."""
    if failure.error is not ErrorClass.TOO_LARGE:
        return failure
    return replace(failure, message=f"{failure.message}; what is sent of it has {len(body)} bytes")
