"""Turn what an engine made into a bundle: which objects it holds, in which form, and what forbids it.

The same objects give the same bytes on every machine (I12), in whatever order the engine found them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from services.renderer.normalise import Problems, normalised
from services.renderer.scopes import Scopes
from shared.core.bundles import bundle_bytes
from shared.core.canonical import encode
from shared.core.objects import Manifest, ObjectKey, group_of, key_of
from shared.errors import Finding, FindingsError, PermanentError

LIST_DEPTH = 10
MAX_OBJECTS = 10_000
# etcd takes 1.5 MiB with what the server adds (A10).
MAX_OBJECT_BYTES = 1_400_000
_LOCAL = "config.kubernetes.io/local-config"
_BUILD_FILES = frozenset({"kustomize.config.k8s.io"})
_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
# The same stored object under two groups (A7).
_ALIASES = {("events.k8s.io", "Event"): ""}


@dataclass(frozen=True, slots=True)
class Piece:
    """An object as an engine made it, and where it was written; the file is empty where the engine does not say."""

    manifest: Manifest
    file: str = ""
    mark: Callable[..., tuple[int, int]] | None = None
    """Finds line and column of a path within, which is dear: a second reading of the file."""

    @property
    def line(self) -> int:
        """Return the line where the object begins, or 0."""
        return self.mark()[0] if self.mark else 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A bundle's bytes, the sorted keys of its objects as text, warnings, and the objects with their places."""

    data: bytes
    keys: tuple[str, ...]
    warnings: tuple[Finding, ...]
    pieces: tuple[Piece, ...] = field(default=(), compare=False)


Change = Callable[[Iterable[Piece]], Iterable[Piece]]
"""Changes objects before anything is asked of them."""


def finished(pieces: Iterable[Piece], namespace: str, changes: Iterable[Change] = ()) -> Finished:
    """Return the bundle of `pieces`; objects of built-in kinds that name no namespace get `namespace`.

    Raises:
        FindingsError: every object that cannot be delivered.
    """
    findings: list[Finding] = []
    single: Iterable[Piece] = _flattened(pieces)
    for change in changes:
        single = change(single)
    whole = [piece for piece in single if _wanted(piece) and _is_named(piece, findings)]
    scopes = Scopes(piece.manifest for piece in whole)
    seen: dict[ObjectKey, tuple[Piece, bytes]] = {}
    for piece in whole:
        _take(_placed(piece, scopes, namespace, findings), seen, findings)
    if len(seen) > MAX_OBJECTS:
        text = f"the app has {len(seen)} objects on this cluster, {MAX_OBJECTS} are the limit"
        findings.append(Finding("render.too-large", text, hint="split it into several apps"))
    if any(finding.severity == "error" for finding in findings):
        raise FindingsError([finding for finding in findings if finding.severity == "error"])
    objects = [piece.manifest for piece, _ in seen.values()]
    keys = tuple(str(key) for key in sorted(key_of(each) for each in objects))
    return Finished(bundle_bytes(objects), keys, tuple(findings), tuple(piece for piece, _ in seen.values()))


def _flattened(pieces: Iterable[Piece], depth: int = LIST_DEPTH) -> Iterator[Piece]:
    """Yield the objects, those in lists included (A5); `ConfigMapList` and the like say the kind of their items."""
    for piece in pieces:
        manifest = piece.manifest
        kind = manifest.get("kind")
        if not isinstance(kind, str) or not _is_list(kind, manifest):
            yield piece
            continue
        items = manifest["items"]
        if depth == 0 or not isinstance(items, list | None) or not all(isinstance(each, dict) for each in items or ()):
            yield replace(piece, manifest={"apiVersion": manifest.get("apiVersion"), "kind": kind})
            continue
        known = {"apiVersion": manifest.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
        yield from _flattened((replace(piece, manifest={**known, **each}) for each in items or ()), depth - 1)


def _is_list(kind: str, manifest: Manifest) -> bool:
    """Tell whether an object is a list of others; one with a body of its own and no items is none."""
    has_body = manifest.get("items") is None and ("spec" in manifest or "status" in manifest)
    return kind.endswith("List") and "items" in manifest and not has_body


def _wanted(piece: Piece) -> bool:
    """Tell whether the object is meant for a cluster (A9)."""
    metadata = piece.manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    local = isinstance(annotations, dict) and annotations.get(_LOCAL) in {"true", True}
    version = piece.manifest.get("apiVersion")
    return not local and not (isinstance(version, str) and group_of(version) in _BUILD_FILES)


def _is_named(piece: Piece, findings: list[Finding]) -> bool:
    """Tell whether the object says what it is (A6); if not, a finding says so."""
    manifest = piece.manifest
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    lacks = [name for name in ("apiVersion", "kind") if not _is_text(manifest.get(name))]
    hook = isinstance(notes := metadata.get("annotations"), dict) and any(name in notes for name in _HOOKS)
    if not _is_text(metadata.get("name")) and not (hook and _is_text(metadata.get("generateName"))):
        lacks.append("metadata.name")
    if not isinstance(metadata.get("namespace", ""), str | None):
        lacks.append("a metadata.namespace that is a string")
    if lacks:
        what = " ".join(str(manifest.get(name)) for name in ("apiVersion", "kind") if manifest.get(name))
        text = f"an object{f' ({what})' if what else ''} lacks {', '.join(lacks)}"
        findings.append(_finding("object.incomplete", text, piece))
    return not lacks


def _placed(piece: Piece, scopes: Scopes, namespace: str, findings: list[Finding]) -> Piece:
    """Return the object in its namespace (A8) and in its bundle's form."""
    problems = Problems()
    manifest = normalised(piece.manifest, problems)
    what = named(manifest)
    metadata: dict[str, Any] = manifest["metadata"]
    match scopes.namespaced(manifest), metadata.get("namespace"):
        case True, None | "":
            metadata["namespace"] = namespace
        case False, str(given):
            del metadata["namespace"]
            if given:
                problems.warnings.append(f"it belongs to no namespace: {given!r} was left out")
        case None, "":
            del metadata["namespace"]
    findings += [_finding("object.invalid", f"{what}: {text}", piece) for text in problems.errors]
    findings += [_finding("object.changed", f"{what}: {text}", piece, "warning") for text in problems.warnings]
    return replace(piece, manifest=manifest)


def _take(piece: Piece, seen: dict[ObjectKey, tuple[Piece, bytes]], findings: list[Finding]) -> None:
    """Add the object to those seen, unless it is there (A7) or larger than a cluster can keep (A10)."""
    try:
        content = encode(piece.manifest)
    except PermanentError as error:
        findings.append(_finding("object.invalid", f"{named(piece.manifest)}: {error.message}", piece))
        return
    if len(content) > MAX_OBJECT_BYTES:
        text = f"{named(piece.manifest)} takes {len(content)} bytes, {MAX_OBJECT_BYTES} are the limit"
        findings.append(_finding("object.too-large", text, piece))
    key = key_of(piece.manifest)
    alias = key._replace(group=_ALIASES.get((key.group, key.kind), key.group))
    earlier, known = seen.setdefault(alias, (piece, content))
    if earlier is piece:
        return
    first, second = _place(earlier), _place(piece)
    places = f"{first} and {second}" if first != second else f"twice in {first}"
    if known == content:
        text = f"{named(piece.manifest)} is written {'in ' if first != second else ''}{places}, equally"
        findings.append(_finding("object.duplicate", text, piece, "warning"))
    else:
        text = f"{named(piece.manifest)} is written differently {'in ' if first != second else ''}{places}"
        findings.append(replace(_finding("object.duplicate", text, piece), hint="keep one of them"))


def _finding(code: str, message: str, piece: Piece, severity: str = "error") -> Finding:
    return Finding(code=code, message=message, file=piece.file, line=piece.line, severity=severity)


def named(manifest: Manifest) -> str:
    """Return how people call an object."""
    key = key_of(manifest)
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _place(piece: Piece) -> str:
    return f"{piece.file or 'the rendered output'}{f':{piece.line}' if piece.line else ''}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
