"""Turn a bundle's objects into what will be sent, or refuse the bundle with every finding at once (rules A5-A14)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from services.applier.compat import Asked, asked
from services.applier.compat_names import NAMES
from services.applier.crds import CRD
from services.applier.edges import arranged
from services.applier.errors import ErrorClass, Failure
from services.applier.hooks import attempt, nameless
from services.applier.limits import is_encrypted, size_trouble
from services.applier.normalise import is_bodied, marked, namespace_manifest, placed
from services.applier.policy import GROUP, HOOK_RUN, LOCAL, Phase, Policy, Renew
from services.applier.removal import NO_HOOKS, Farewell
from services.applier.sops.errors import SopsError
from services.applier.state import Inventory, Wanted
from services.applier.tenancy import ServiceAccount, Tenancy
from shared.core.canonical import encode
from shared.core.objects import Manifest, ObjectKey, group_of, interned, key_of
from shared.errors import Finding, FindingsError

OBJECTS_LIMIT = 10_000

Scopes = Mapping[tuple[str, str], bool]
"""(group, kind) → namespaced, as discovery says."""

# The same stored objects under two groups (A7).
_ALIASES = {"events.k8s.io": ""}
# Two apps may bring the same one (G5).
_SHARED = frozenset({("", "Namespace"), CRD})
_RESERVED = (f"{GROUP}/owner", f"{GROUP}/agent", HOOK_RUN)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bundle is going to."""

    cluster: str
    app: str
    namespace: str
    """The app's default namespace; may be empty."""
    scopes: Scopes
    secret: bytes
    """The agent's own key for digests, so that a digest tells nothing about a Secret (P3)."""
    create_namespace: bool = True
    compat: bool = True
    bundle: str = ""
    """The bundle's digest."""
    phase: Phase | None = None
    """Of a removal: which of its hooks are taken, and nothing else."""
    removal: str = ""
    """Its number."""
    tenancy: Tenancy = field(default_factory=Tenancy)
    """Within which fences."""
    strangers: AbstractSet[str] = frozenset()
    """Apps of other tenants."""
    opener: Callable[[Manifest], Manifest] | None = None
    """Decrypts objects; None: whether any needs that is only found out."""

    @property
    def run(self) -> str:
        """Return what hooks are made for, as they say themselves."""
        return f"{self.phase}/{self.removal}/{self.bundle}" if self.phase else self.bundle


@dataclass(frozen=True, slots=True)
class Intake:
    """A bundle that may be applied."""

    wanted: Mapping[ObjectKey, Wanted]
    warnings: tuple[str, ...] = ()
    account: ServiceAccount | None = None
    """As whom it is applied; None: as the agent itself."""
    farewell: Farewell = NO_HOOKS
    encrypted: AbstractSet[ObjectKey] = frozenset()
    """What SOPS encrypted, decrypted or not."""

    @property
    def whole(self) -> Mapping[ObjectKey, Wanted]:
        """Return what is applied now, or in the course of a removal."""
        return self.farewell.beside(self.wanted)


def intake(objects: Iterable[Manifest], place: Place, inventory: Inventory) -> Intake:
    """Return the objects as they will be sent, with their namespaces, our label and our annotation.

    Takes one object at a time, so that a bundle is never held decoded as a whole.

    Raises:
        FindingsError: with all that is wrong; nothing of the bundle may be applied.
    """
    taking = _Taking(place, inventory)
    later = [manifest for manifest in objects if not taking.take(manifest)]
    # A kind that neither discovery nor a CRD of this bundle knows is taken as it was written.
    for manifest in later:
        taking.take(manifest, kind_known=False)
    taking.arrange()
    taking.check()
    if place.create_namespace:
        taking.add_namespace()
    farewell = Farewell(brought=taking.brought)
    return Intake(taking.wanted, tuple(taking.warnings), farewell=farewell, encrypted=taking.encrypted)


@dataclass(slots=True)
class _Taking:
    """A bundle while it is taken in."""

    place: Place
    inventory: Inventory
    wanted: dict[ObjectKey, Wanted] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    scopes: dict[tuple[str, str], bool] = field(default_factory=dict)
    """What the CRDs of this bundle say."""
    count: int = 0
    encrypted: set[ObjectKey] = field(default_factory=set)
    brought: bool = False
    """There are hooks for the app's removal: checked like all, to be applied then."""

    def take(self, manifest: Manifest, *, kind_known: bool = True) -> bool:
        """Take one object; False: its scope may become known by a later object."""
        self.count += kind_known
        asks = _asked(manifest, self.place)
        if self.place.phase:
            policy = asks.policy.at_removal(self.place.phase)
            if policy is None:
                return True
            asks = replace(asks, policy=policy)
        stem = _stem(manifest, asks.policy)
        manifest = self._named(manifest, asks.policy, stem)
        if trouble := _identity_trouble(manifest):
            self.refuse("object.identity", f"object {self.count} of the bundle {trouble}")
            return True
        if asks.policy.left_out or group_of(manifest["apiVersion"]) == "kustomize.config.k8s.io":
            self._leave_out(key_of(manifest), asks.policy.left_out)
            return True
        self._learn(manifest)
        key = key_of(manifest)
        namespaced = self._scope(key)
        if namespaced is None and kind_known:
            return False
        if namespaced is None:
            namespaced = bool(key.namespace)
        if namespaced and not (key.namespace or self.place.namespace):
            self.refuse("object.namespace", f"{key} has no namespace, and its app names no default")
            return True
        key = key._replace(namespace=key.namespace or self.place.namespace if namespaced else "")
        self._check_tenancy(key, asks.policy)
        before = self.inventory.entries.get(key)
        self._add(manifest, before.key if before else interned(key), asks, stem)
        return True

    def _leave_out(self, key: ObjectKey, why: str) -> None:
        if why not in {"", LOCAL}:
            self.warnings.append(f"{key} is not applied: {why}")

    def _scope(self, key: ObjectKey) -> bool | None:
        kind = (key.group, key.kind)
        return self.scopes.get(kind, self.place.scopes.get(kind))

    def _learn(self, manifest: Manifest) -> None:
        """Take the scope of a kind from its CRD."""
        key = key_of(manifest)
        spec = manifest.get("spec")
        if (key.group, key.kind) != CRD or not isinstance(spec, Mapping):
            return
        names = spec.get("names")
        if isinstance(names, Mapping):
            self.scopes[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") != "Cluster"

    def _named(self, manifest: Manifest, policy: Policy, stem: str) -> Manifest:
        """Return a hook that leaves its name to the API server with one that a cut off attempt shares with the next (A6, K7)."""
        if not stem:
            return manifest
        hook = policy.hook or policy.removal[0]
        kind = group_of(str(manifest.get("apiVersion"))), str(manifest.get("kind"))
        beginning = nameless(stem, self.place.bundle, hook.phase)
        name = f"{beginning}{attempt(beginning, kind, self.inventory.entries.values())}"
        others = {each: value for each, value in manifest["metadata"].items() if each != "generateName"}
        return {**manifest, "metadata": {**others, "name": name}}

    def _add(self, manifest: Manifest, key: ObjectKey, asks: Asked, stem: str) -> None:
        if key_of(manifest).namespace and not key.namespace:
            self.warnings.append(f"{key} is cluster-scoped: its namespace was left out")
        metadata = manifest["metadata"]
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        self._check_annotations(key, annotations, labels)
        self.warnings += [f"{key}: {warning}" for warning in asks.warnings]
        for code, text in asks.refusals:
            self.refuse(code, f"{key}: {text}")
        manifest, closed = self._opened(key, manifest)
        run = self.place.run if asks.policy.hook or asks.policy.renew is Renew.REVISION else ""
        plain = placed(manifest, key.namespace)
        body = encode(marked(plain, self.place.cluster, self.place.app, run))
        if not closed and (trouble := size_trouble(key, manifest, body)):
            self.refuse("object.too-large", f"{key} {trouble}", "split it into several objects")
            return
        found = Wanted(
            key=key,
            version=intern(manifest["apiVersion"].rpartition("/")[2]),
            body=body,
            digest=hmac.digest(self.place.secret, body, "sha256").hex(),
            content=hmac.digest(self.place.secret, encode(plain), "sha256").hex() if key[:2] in _SHARED else "",
            wave=asks.policy.wave or 0,
            policy=asks.policy,
            bodied=is_bodied(manifest),
            run=run,
            closed=closed,
            stem=stem,
        )
        self._check_emptied(found)
        self.brought = self.brought or bool(asks.policy.removal)
        if asks.policy.hook or not asks.policy.removal:
            self._put(found)

    def _opened(self, key: ObjectKey, manifest: Manifest) -> tuple[Manifest, Failure | None]:
        """Return an object decrypted, or why it stays closed: the others go on all the same."""
        if not is_encrypted(key, manifest):
            return manifest, None
        self.encrypted.add(key)
        try:
            return (self.place.opener(manifest) if self.place.opener else manifest), None
        except SopsError as error:
            file = manifest["sops"].get("file") or "its file"
            return manifest, Failure(ErrorClass.ENCRYPTED, f"{file} is encrypted by SOPS: {error}", error.hint)

    def _put(self, found: Wanted) -> None:
        alias = found.key._replace(group=_ALIASES.get(found.key.group, found.key.group))
        other = self.wanted.get(found.key) or self.wanted.get(alias)
        if other is None:
            self.wanted[found.key] = found
        elif other.digest == found.digest:
            self.warnings.append(f"{found.key} stands twice in the bundle, with equal content")
        else:
            self.refuse("object.duplicate", f"{found.key} stands twice in the bundle, with different content")

    def _check_annotations(self, key: ObjectKey, annotations: Mapping[str, Any], labels: Mapping[str, Any]) -> None:
        for name in _RESERVED:
            if name in annotations or name in labels:
                self.refuse("object.reserved", f"{key} sets {name}, which only the agent may set")
        for name in annotations:
            if str(name).startswith(f"{GROUP}/") and name not in _RESERVED and name not in NAMES:
                self.warnings.append(f"{key}: annotation {name} is not known to this agent: it changes nothing")

    def _check_tenancy(self, key: ObjectKey, policy: Policy) -> None:
        if why := self.place.tenancy.trouble(key):
            self.refuse("object.fenced", f"{key} may not come with this app: {why}")
        if policy.transfer_from in self.place.strangers:
            why = f"takes over from app {policy.transfer_from!r}, which another tenant owns"
            self.refuse("object.fenced", f"{key} {why}", "let that app give the object up first")

    def _check_emptied(self, found: Wanted) -> None:
        """Refuse an object that lost its whole body (A14): applying it would delete every field that we own."""
        before = self.inventory.entries.get(found.key)
        if before is not None and before.bodied and not found.bodied and not found.policy.allow_empty:
            self.refuse(
                "object.emptied",
                f"{found.key} had content in the last bundle and has none now",
                hint=f'annotate it with {GROUP}/allow-empty: "true" if that is meant',
            )

    def refuse(self, code: str, message: str, hint: str = "") -> None:
        """Add one finding."""
        self.findings.append(Finding(code=code, message=message, hint=hint, app=self.place.app))

    def arrange(self) -> None:
        """Put what depends on something behind it."""
        arrangement = arranged(self.wanted)
        self.wanted |= arrangement.wanted
        self.warnings += arrangement.warnings
        for code, message in arrangement.refusals:
            self.refuse(code, message)

    def check(self) -> None:
        """Raise all findings at once (A13)."""
        if len(self.wanted) > OBJECTS_LIMIT:
            self.refuse("bundle.too-large", f"the bundle has {len(self.wanted)} objects, the limit is {OBJECTS_LIMIT}")
        if self.findings:
            raise FindingsError(self.findings)

    def add_namespace(self) -> None:
        """Want the app's namespace where something is going there and the bundle does not bring it itself."""
        name = self.place.namespace
        if not any(key.namespace == name for key in self.wanted) or not name:
            return
        key, manifest = namespace_manifest(name)
        if key not in self.wanted:
            body = encode(manifest)
            digest = hmac.digest(self.place.secret, body, "sha256").hex()
            first = min(found.wave for found in self.wanted.values())
            self.wanted[key] = Wanted(key, "v1", body, digest, wave=first, bodied=False, tracked=False)


def _identity_trouble(manifest: Manifest) -> str:
    """Return what an object lacks to be one (A5, A6)."""
    metadata = manifest.get("metadata")
    if not isinstance(manifest.get("apiVersion"), str) or not manifest["apiVersion"]:
        return "has no apiVersion"
    if not isinstance(manifest.get("kind"), str) or not manifest["kind"]:
        return "has no kind"
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        return f"({manifest['kind']}) has no metadata.name"
    if manifest["kind"].endswith("List") and isinstance(manifest.get("items"), list):
        return f"is a {manifest['kind']}: lists are flattened before they are delivered"
    return ""


def _asked(manifest: Manifest, place: Place) -> Asked:
    """Return what an object asks for, however little of one it is."""
    metadata = manifest.get("metadata")
    notes, labels = (metadata.get("annotations"), metadata.get("labels")) if isinstance(metadata, Mapping) else ({}, {})
    return asked(notes or {}, labels or {}, kind=str(manifest.get("kind") or ""), compat=place.compat)


def _stem(manifest: Manifest, policy: Policy) -> str:
    """Return how the name is to begin of a hook that leaves it to the API server; empty: it has one."""
    metadata = manifest.get("metadata")
    if not (policy.hook or policy.removal) or not isinstance(metadata, Mapping) or metadata.get("name"):
        return ""
    stem = metadata.get("generateName")
    return stem if isinstance(stem, str) else ""
