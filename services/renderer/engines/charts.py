"""Make what Helm takes of what git has: the chart's archive, its files one by one, and values merged from their layers."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from services.renderer.engines.jobs import Job
from shared.core.kubeyaml import Document, documents
from shared.errors import Finding, FindingsError
from shared.fleet.formats import ARCHIVES, CHART

# Of an archive with all archives in it: Helm takes no more of one either.
_UNPACKED_BYTES = 100 << 20
_MEMBERS = 20_000
_NESTED = 8


def chart_file(job: Job) -> str:
    """Return the file that errors about the whole chart name."""
    return job.root if job.root in job.files else f"{job.root}/{CHART}".lstrip("/")


def archive(job: Job, members: Mapping[str, bytes]) -> bytes:
    """Return the chart as Helm packs it."""
    return job.files[job.root] if _is_packed(job) else packed(members)


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of the files of a chart; it is read at once and not kept, so nothing is compressed."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=0) as target:
        for path, data in files.items():
            entry = tarfile.TarInfo(f"chart/{path}")
            entry.size = len(data)
            target.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def unpacked(job: Job, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the chart by their path in it, those of charts within it as if they were folders.

    Raises:
        FindingsError: an archive is none, holds links, or more than it may.
    """
    found: dict[str, bytes] = {}
    if _is_packed(job):
        for path, content in _Unpacking(job.root).files(job.files[job.root]):
            found[path.partition("/")[2]] = content
        return found
    unpacking = _Unpacking("")
    prefix = f"{job.root}/" if job.root else ""
    for path, content in members.items():
        if path.startswith("charts/") and path.endswith(ARCHIVES):
            unpacking.name = prefix + path
            folder = posixpath.dirname(path)
            found.update((f"{folder}/{inner}", data) for inner, data in unpacking.files(content))
        else:
            found[path] = content
    return found


def _is_packed(job: Job) -> bool:
    return job.root.endswith(ARCHIVES) and job.root in job.files


def members(job: Job) -> dict[str, bytes]:
    """Return the files of a chart that is a folder, without those that `.helmignore` names; none of a packed one.

    Raises:
        FindingsError: there is no chart.
    """
    if _is_packed(job):
        return {}
    prefix = f"{job.root}/" if job.root else ""
    found = {path.removeprefix(prefix): data for path, data in job.files.items() if path.startswith(prefix)}
    if CHART not in found:
        text = f"there is no chart in {job.root or '/'}: it has no Chart.yaml"
        raise FindingsError([Finding("render.no-chart", text, job.root)])
    ignored = _patterns(found.get(".helmignore", b""))
    return {path: content for path, content in found.items() if not _is_ignored(path, ignored)}


class _Unpacking:
    """Reads archives and the archives in them, within one limit for all."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The file that errors name."""
        self._bytes = 0
        self._count = 0

    def files(self, archive: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
        """Yield each file with its path."""
        try:
            with gzip.open(io.BytesIO(archive)) as content, tarfile.open(fileobj=content, mode="r|") as source:
                for entry in source:
                    yield from self._file(source, entry, depth)
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise self._refused("render.helm", f"is no chart's archive: {error}") from error

    def _file(self, source: tarfile.TarFile, entry: tarfile.TarInfo, depth: int) -> Iterator[tuple[str, bytes]]:
        self._bytes += entry.size
        self._count += 1
        if self._bytes > _UNPACKED_BYTES or self._count > _MEMBERS or depth > _NESTED:
            text = f"holds more than {_UNPACKED_BYTES >> 20} MiB, {_MEMBERS} files, or {_NESTED} archives in each other"
            raise self._refused("render.too-large", text, hint="use a smaller chart")
        if entry.issym() or entry.islnk():
            text = f"holds the link {entry.name} -> {entry.linkname}, which engines do not follow"
            raise self._refused("render.symlink", text, hint="pack the file itself")
        file = source.extractfile(entry) if entry.isreg() else None
        if file is None:
            return
        path = posixpath.normpath(entry.name)
        if path.startswith(("/", "../")):
            raise self._refused("render.unsafe-path", f"holds {entry.name!r}, which leads out of it")
        if path.endswith(ARCHIVES) and posixpath.basename(posixpath.dirname(path)) == "charts":
            inner = self.files(file.read(), depth + 1)
            yield from ((f"{posixpath.dirname(path)}/{each}", content) for each, content in inner)
        else:
            yield path, file.read()

    def _refused(self, code: str, text: str, *, hint: str = "") -> FindingsError:
        return FindingsError([Finding(code, f"{self.name} {text}", self.name, hint=hint)])


def layered(job: Job) -> list[Document]:
    """Return the documents of values that the layers hold, in order: later wins.

    Raises:
        FindingsError: a file is no YAML, or no mapping.
    """
    found: list[Document] = []
    findings: list[Finding] = []
    for path in job.layers:
        try:
            found += documents(job.files[path], path)
        except FindingsError as error:
            findings += error.findings
    findings += [
        each.finding("render.values", "a values file holds one mapping")
        for each in found
        if not isinstance(each.value, dict)
    ]
    if findings:
        raise FindingsError(findings)
    return found


def merged_values(layers: Iterable[Document], inline: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the layers, then those written in the app itself; later wins."""
    found: dict[str, Any] = {}
    for document in layers:
        found = merged(found, document.value)
    return merged(found, inline)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, `above` winning, mappings member by member. A null stays: it tells Helm to forget the chart's default."""
    found = dict(below)
    for key, value in above.items():
        known = found.get(key)
        found[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def _patterns(text: bytes) -> list[str]:
    lines = (line.strip() for line in text.decode(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _is_ignored(path: str, patterns: list[str]) -> bool:
    """Tell whether `.helmignore` leaves a file out: by its name, its folders' names, or its path from the root."""
    if path in {CHART, ".helmignore"}:
        return False
    parts = path.split("/")
    names = [("/".join(parts[: index + 1]), index + 1 < len(parts)) for index in range(len(parts))]
    ignored = False
    for pattern in patterns:
        negated, wanted = pattern.startswith("!"), pattern.removeprefix("!")
        folders_only, wanted = wanted.endswith("/"), wanted.rstrip("/")
        hit = any(_fits(name, wanted) for name, is_folder in names if is_folder or not folders_only)
        ignored = not negated if hit else ignored
    return ignored


def _fits(path: str, pattern: str) -> bool:
    if "/" in pattern:
        pattern = pattern.removeprefix("/")
        return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
    return fnmatchcase(path.rpartition("/")[2], pattern)
