"""Watch what we own: one watch a kind, by our label, keeping fingerprints instead of objects.

Kinds whose health shows in their status are watched whole, the others by metadata only. Whatever changes is told by
its key; what it means is decided elsewhere, from the state that is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from services.applier.errors import ErrorClass
from services.applier.health.rules import HealthCheck
from services.applier.healths import Healths
from services.applier.kube.mapper import Resource
from services.applier.kube.reflector import Blind, Event, Listed, Lost, Reflector, Seen
from services.applier.kube.session import Session
from services.applier.state import Present
from services.applier.tracking import AGENT_LABEL, owned_app, present_of
from shared.core.asking import is_meant
from shared.core.objects import Manifest, ObjectKey

Changed = Callable[[ObjectKey], None]

_RBAC = "rbac.authorization.k8s.io"
_PLAIN = frozenset(
    {
        ("", "ConfigMap"),
        ("", "Secret"),
        ("", "ServiceAccount"),
        ("", "LimitRange"),
        (_RBAC, "Role"),
        (_RBAC, "ClusterRole"),
        (_RBAC, "RoleBinding"),
        (_RBAC, "ClusterRoleBinding"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("networking.k8s.io", "IngressClass"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    }
)

log = structlog.get_logger("services.applier")


class Observer:
    """The live state of everything that carries this agent's label, as far as its kinds are followed."""

    def __init__(self, session: Session, cluster: str, changed: Changed) -> None:
        self._session = session
        self._selector = f"{AGENT_LABEL}={cluster}"
        self._changed = changed
        self._present: dict[ObjectKey, Present] = {}
        self._echoes: dict[ObjectKey, Present] = {}
        """Answers to our own writes that their watch did not tell of yet."""
        self._healths = Healths()
        self._followed: dict[tuple[str, str], Resource] = {}
        self._listed: dict[tuple[str, str], asyncio.Event] = {}
        self._answered: dict[tuple[str, str], asyncio.Event] = {}
        """Set when a kind was listed, or may not be."""
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Let watches run as tasks of this group."""
        self._tasks = tasks

    def follow(self, resources: Iterable[Resource]) -> None:
        """Watch these kinds from now on, in these versions; a kind is watched once."""
        for resource in resources:
            name = (resource.group, resource.kind)
            if self._tasks is None or not resource.watchable or self._followed.get(name) == resource:
                continue
            self._followed[name] = resource
            self._listed.setdefault(name, asyncio.Event())
            self._answered.setdefault(name, asyncio.Event())
            self._watch(resource, self._tasks)

    def judge_by(self, app: str, checks: tuple[HealthCheck, ...]) -> None:
        """Judge an app's objects by what its users say; what this is about is read again, for no object is kept."""
        changed = self._healths.rules.give(app, checks)
        for name, resource in self._followed.items():
            if self._tasks is not None and any(is_meant(check.kinds, *name) for check in changed):
                self._watch(resource, self._tasks)

    async def ready(self, resources: Iterable[Resource], timeout_s: float) -> None:
        """Return when each of these kinds was listed once or may not be, or after `timeout_s`: the rest is read singly."""
        try:
            async with asyncio.timeout(timeout_s):
                for resource in resources:
                    if waited := self._answered.get((resource.group, resource.kind)):
                        await waited.wait()
        except TimeoutError:
            return

    def present(self, key: ObjectKey) -> Present | None:
        """Return what is known of a live object; None: it does not carry our label, or nobody looked."""
        return self._present.get(key)

    def watched(self, key: ObjectKey) -> bool:
        """Tell whether the object's kind is followed and was listed: then its absence here means something."""
        listed = self._listed.get((key.group, key.kind))
        return listed is not None and listed.is_set()

    @property
    def healths(self) -> Healths:
        """How the objects do that were looked at; nothing is said of kinds that show no health."""
        return self._healths

    def owned(self) -> Mapping[ObjectKey, Present]:
        """Return everything that is known."""
        return self._present

    def wrote(self, key: ObjectKey, manifest: Manifest) -> Present:
        """Take over the answer to our own write, unless a watch was faster."""
        fresh = present_of(manifest)
        known = self._present.get(key)
        if known is None or not _older(fresh, known):
            self._present[key] = fresh
            changed = known is None or (fresh.uid, fresh.generation) != (known.uid, known.generation)
            if (
                fresh.agent
                and self.watched(key)
                and (known is None or known.resource_version != fresh.resource_version)
            ):
                self._echoes[key] = fresh
            watched = bool(fresh.agent) and (key.group, key.kind) in self._followed
            if changed and watched and shows_health(key.group, key.kind):
                self._healths.applied(key)
        return fresh

    def gone(self, key: ObjectKey) -> None:
        """Take over that an object was seen to be absent."""
        self._present.pop(key, None)
        self._echoes.pop(key, None)
        self._healths.gone(key)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that watch."""
        return list(self._running.values())

    @property
    def watches(self) -> int:
        """Return how many kinds are followed."""
        return len(self._followed)

    def _watch(self, resource: Resource, tasks: asyncio.TaskGroup) -> None:
        """Begin to watch a kind, or begin anew."""
        name = (resource.group, resource.kind)
        if running := self._running.get(name):
            running.cancel()
        reflector = Reflector(
            self._session, resource, self._selector, metadata_only=not shows_health(*name), emit=self._take
        )
        self._running[name] = tasks.create_task(reflector.run(), name=f"watch {resource.plural}")

    def _take(self, event: Event) -> None:
        match event:
            case Seen(key, manifest):
                self._seen(key, manifest)
            case Lost(key, uid):
                known = self._present.get(key)
                if known is not None and known.uid == uid:
                    self.gone(key)
                    self._changed(key)
            case Listed(resource, keys):
                self._listed[resource.group, resource.kind].set()
                self._answered[resource.group, resource.kind].set()
                for key in [each for each in self._present if _is_of(each, resource) and each not in keys]:
                    self.gone(key)
                    self._changed(key)
            case Blind(resource, failure):
                if failure is not None and failure.error is ErrorClass.FORBIDDEN:
                    self._answered[resource.group, resource.kind].set()
                log.warning(
                    "watch_interrupted",
                    kind=resource.kind,
                    group=resource.group,
                    error=failure.message if failure else "",
                )

    def _seen(self, key: ObjectKey, manifest: Mapping[str, Any]) -> None:
        echo, known = self._echoes.pop(key, None), self._present.get(key)
        fresh = echo if echo is not None and echo is known and _is_version(manifest, echo) else present_of(manifest)
        if known is not None and _older(fresh, known):
            return
        if known != fresh:  # one that is equal shares its texts with the inventory
            self._present[key] = fresh
        differs = False
        if shows_health(key.group, key.kind):
            resource = self._followed[key.group, key.kind]
            # Items of a listing do not say what they are.
            whole = {**manifest, "apiVersion": resource.api_version, "kind": resource.kind}
            hook = bool(fresh.run) and fresh.policy.hook is not None
            differs = self._healths.judge(key, whole, owned_app(fresh.owner, key), reports=resource.reports, hook=hook)
        if differs or known is None or known != fresh:
            self._changed(key)


def shows_health(group: str, kind: str) -> bool:
    """Tell whether objects of a kind have a status that says how they do; of unknown kinds it is assumed."""
    return (group, kind) not in _PLAIN


def _is_version(manifest: Manifest, present: Present) -> bool:
    """Tell whether these facts are of this very version of the object."""
    metadata = manifest["metadata"]
    return (metadata.get("uid"), metadata.get("resourceVersion")) == (present.uid, present.resource_version)


def _is_of(key: ObjectKey, resource: Resource) -> bool:
    return (key.group, key.kind) == (resource.group, resource.kind)


def _older(one: Present, other: Present) -> bool:
    """Tell whether `one` was seen before `other`; versions of one object are numbers that rise."""
    if one.uid != other.uid or not (one.resource_version.isdecimal() and other.resource_version.isdecimal()):
        return False
    return int(one.resource_version) < int(other.resource_version)
