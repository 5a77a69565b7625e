"""Keep archives of charts on this machine, by their digest, so that rendering needs no network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from services.renderer.locked import Archive
from shared.errors import Finding
from shared.fleet.locks import COMMAND
from shared.messages.sources import WantedChart
from shared.runtime.files import replace_file


def _path(sha256: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "towline" / "charts" / f"{sha256}.tgz"


def known(sha256: str) -> bytes | None:
    """Return an archive that is kept here, if it is whole."""
    try:
        content = _path(sha256).read_bytes()
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def keep(content: bytes) -> None:
    """Keep an archive."""
    path = _path(hashlib.sha256(content).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, 0o644)


def archives(wanted: Iterable[WantedChart]) -> dict[str, Archive]:
    """Return the archives that are wanted, as far as they are here."""
    return {each.digest: _archive(each) for each in wanted}


def _archive(wanted: WantedChart) -> Archive:
    content = known(wanted.digest)
    if content is not None:
        return Archive(lambda: content)
    text = f"{wanted.url} is not on this machine"
    return Archive(finding=Finding("render.chart-absent", text, hint=f"fetch it with `{COMMAND}`"))
