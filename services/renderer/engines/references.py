"""Check what the kustomizations of an app refer to: everything must be in git, at the place they name.

Kustomize takes an entry that is no file for a repository to clone or a page to fetch; such entries are refused here by
file and line, before kubectl sees them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from services.renderer.engines import plugins
from shared.core.kubeyaml import Document, documents
from shared.errors import Finding, FindingsError
from shared.fleet.formats import KUSTOMIZATIONS

# Fields whose entries are files or folders; a folder is a kustomization of its own.
_MEMBERS = ("resources", "bases", "components", *plugins.FIELDS)
_FILE_LISTS = ("crds", "configurations", "patchesStrategicMerge")
_WITH_PATH = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_CHARTS = ("helmCharts", "helmChartInflationGenerator", "helmGlobals")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)")
_REMOTE = re.compile(
    r"^[\w.-]+@[\w.-]+[:/]|^gh:|^//|[?&](ref|version|timeout|submodules)=|^([\w-]+\.)+[A-Za-z]{2,}[:/]|//"
)


class _Entry(NamedTuple):
    """What one field of a kustomization says."""

    where: tuple[str | int, ...]
    text: str


def checked(files: Mapping[str, bytes], roots: Iterable[str]) -> None:
    """Do nothing if all that the kustomizations in the folders `roots` reach is in `files`.

    Raises:
        FindingsError: everything that is not.
    """
    findings: list[Finding] = []
    folders = {posixpath.dirname(path) for path in files}
    folders |= {parent for folder in folders for parent in _parents(folder)}
    waiting: list[tuple[str, bool]] = [(root, False) for root in roots]
    seen = set()
    while waiting:
        folder, configures = place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        document = _kustomization(files, folder, findings)
        if document is not None:
            findings += (*_foreign(document), *plugins.refused(document, files, folder, configures=configures))
            members = _members(document, folder, files, folders, findings)
            waiting += ((path, configures or plugs) for path, plugs in members)
    if findings:
        raise FindingsError(findings)


def _kustomization(files: Mapping[str, bytes], folder: str, findings: list[Finding]) -> Document | None:
    """Return the kustomization in `folder`; what is wrong with it is kubectl's to say."""
    names = [path for name in KUSTOMIZATIONS if (path := posixpath.join(folder, name)) in files]
    if not names:
        text = f"the folder {folder or '/'} has no kustomization"
        findings.append(Finding("render.no-kustomization", text, folder, hint=f"add a {KUSTOMIZATIONS[0]} to it"))
        return None
    try:
        found = documents(files[names[0]], names[0], repeated_keys=True)
    except FindingsError as error:
        findings += error.findings
        return None
    return found[0] if found and isinstance(found[0].value, dict) else None


def _foreign(document: Document) -> Iterator[Finding]:
    """Yield a finding for everything that would be fetched or inflated."""
    for field in _CHARTS:
        if document.value.get(field):
            yield document.finding(
                "render.helm-in-kustomize",
                f"{field} is not supported in a kustomization",
                (field,),
                hint="make the chart an app of its own",
            )
    for entry in (*_entries(document.value, _MEMBERS), *_files(document.value)):
        if _URL.search(entry.text) and "\n" not in entry.text:
            yield _remote(document, entry)


def _members(
    document: Document, folder: str, files: Mapping[str, bytes], folders: set[str], findings: list[Finding]
) -> Iterator[tuple[str, bool]]:
    """Yield the folders that a kustomization takes in, and whether as plugins; add findings for what is not there."""
    for entry in _entries(document.value, _MEMBERS):
        if "\n" in entry.text or _URL.search(entry.text):
            continue
        path = posixpath.normpath(posixpath.join(folder, entry.text))
        path = "" if path == "." else path
        if path in files:
            continue
        if path in folders:
            yield path, entry.where[0] in plugins.FIELDS
        elif _REMOTE.search(entry.text):
            findings.append(_remote(document, entry))
        elif path.startswith(("..", "/")):
            text = f"{entry.text!r} leads out of the repository"
            findings.append(document.finding("render.outside", text, entry.where, hint="copy it into the repository"))
        else:
            text = f"{entry.text!r} is not in the repository: there is no {path}"
            findings.append(document.finding("render.missing-file", text, entry.where))


def _remote(document: Document, entry: _Entry) -> Finding:
    return document.finding(
        "render.remote-base",
        f"{entry.text!r} is a remote reference, and engines have no network",
        entry.where,
        hint="copy it into the repository, or make it an app with a source of its own",
    )


def _entries(value: Mapping[str, Any], fields: Iterable[str]) -> Iterator[_Entry]:
    """Yield the texts in the lists of `fields`."""
    for field in fields:
        members = value.get(field)
        for index, member in enumerate(members if isinstance(members, list) else ()):
            if isinstance(member, str):
                yield _Entry((field, index), member)


def _files(value: Mapping[str, Any]) -> Iterator[_Entry]:
    """Yield all other texts that kustomize takes for files."""
    yield from _entries(value, _FILE_LISTS)
    if isinstance(value.get("openapi"), dict) and isinstance(path := value["openapi"].get("path"), str):
        yield _Entry(("openapi", "path"), path)
    for field in _WITH_PATH:
        for index, member in _mappings(value.get(field)):
            if isinstance(path := member.get("path"), str):
                yield _Entry((field, index, "path"), path)
    for field in _GENERATORS:
        for index, member in _mappings(value.get(field)):
            for entry in _entries({**member, "env": [member.get("env")]}, ("files", "envs", "env")):
                yield _Entry((field, index, *entry.where), entry.text.partition("=")[2] or entry.text)


def _mappings(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield from (
        (i, member) for i, member in enumerate(value if isinstance(value, list) else ()) if isinstance(member, dict)
    )


def _parents(folder: str) -> Iterator[str]:
    while folder:
        folder = posixpath.dirname(folder)
        yield folder
