"""Say where in git a kustomize error arose: it speaks of folders of ours, or of no file at all."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from shared.errors import Finding
from shared.fleet.formats import KUSTOMIZATIONS

_LINE = re.compile(r"(?:yaml: )?line (\d+)")
_WORD = re.compile(r"[^\s'\"`,;()\[\]]+")
_TARGET = re.compile(r"no matches for Id ([A-Za-z0-9]+)\.[^/]*/([^.\s;]+)")
_NOISE = re.compile(r"^(# )?Warning:")
# Addresses in kubectl's memory: another at each run.
_ADDRESS = re.compile(r"&\{0x[0-9a-f]+ [^}]*\}|\b0x[0-9a-f]{6,}\b")
_LONGEST = 600


def finding(words: str, files: Mapping[str, bytes], root: str, folders: Iterable[str]) -> Finding:
    """Return the finding for what kubectl said; `folders` are ours and mean nothing to people."""
    lines = [line for line in words.splitlines() if line and not _NOISE.search(line)]
    text = _ADDRESS.sub("", " ".join(lines).removeprefix("error: "))
    for folder in folders:
        text = text.replace(f"{folder}/", "").replace(folder, root or ".")
    file = _named(text, files, root) or _patch(text, files, root) or _kustomization(files, root)
    line = _LINE.search(text)
    return Finding(
        code="render.kustomize",
        message=f"kustomize: {_short(text) or 'it failed and said nothing'}",
        file=file,
        line=int(line[1]) if line else 0,
        hint=_hint(text),
    )


def _named(text: str, files: Mapping[str, bytes], root: str) -> str:
    """Return the last file of ours that the text names: an error names the outer files first."""
    named = ""
    for word in _WORD.findall(text):
        word = word.strip(":.'")  # noqa: PLW2901  # the word without what the sentence adds
        for path in (posixpath.normpath(word), posixpath.normpath(posixpath.join(root, word))):
            if path in files:
                named = path
    if named:
        return named
    # `mapping values are not allowed in base/cm.yaml` and the like name the base's file by its own folder.
    found = {
        path for word in _WORD.findall(text) if "." in word for path in files if path.endswith(f"/{word.strip(':.')}")
    }
    return found.pop() if len(found) == 1 else ""


def _patch(text: str, files: Mapping[str, bytes], root: str) -> str:
    """Return the file of the patch whose target is not there; the overlay's own files come first."""
    target = _TARGET.search(text)
    if target is None:
        return ""
    kind = re.compile(rf"^kind:\s*{re.escape(target[1])}\s*$", re.MULTILINE)
    name = re.compile(rf"^\s+name:\s*['\"]?{re.escape(target[2])}['\"]?\s*$", re.MULTILINE)
    for path in sorted(files, key=lambda each: (posixpath.dirname(each) != root, each)):
        content = files[path].decode(errors="replace") if path.endswith((".yaml", ".yml")) else ""
        if kind.search(content) and name.search(content):
            return path
    return ""


def _kustomization(files: Mapping[str, bytes], root: str) -> str:
    return next((path for name in KUSTOMIZATIONS if (path := posixpath.join(root, name)) in files), root)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def _hint(text: str) -> str:
    if "no matches for Id" in text or "no resource matches strategic merge patch" in text:
        return "the patch names an object that the base does not have: check its kind, name and namespace"
    if "security; file" in text:
        return "a kustomization may use files in its own folder only: move the file, or make its folder a base"
    return ""
