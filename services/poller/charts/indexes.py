"""Read the index of a chart repository: which archive a version of a chart is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from services.poller.versions import order_of, range_of
from shared.core.kubeyaml import Limits, documents
from shared.errors import FindingsError
from shared.git.remote import SourceError

INDEX_BYTES = 128 << 20
_LIMITS = Limits(file_bytes=INDEX_BYTES, documents=2, depth=50, nodes=20_000_000)


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a chart."""

    version: str
    url: str
    digest: str = ""
    """In hex; empty where the index does not say."""


def releases_of(index: bytes, repository: str, chart: str) -> list[Release]:
    """Return the versions of a chart that the index of a repository lists.

    Raises:
        SourceError: it is no index, or does not list the chart.
    """
    try:
        found = documents(index, f"{repository}/index.yaml", limits=_LIMITS)
    except FindingsError as error:
        raise SourceError(f"the index of {repository} cannot be read: {error}", code="source.protocol") from error
    entries = found[0].value.get("entries") if found and isinstance(found[0].value, dict) else None
    if not isinstance(entries, dict):
        raise SourceError(f"{repository}/index.yaml is no index of charts", code="source.protocol")
    listed = entries.get(chart)
    if not isinstance(listed, list):
        raise SourceError(f"{repository} has no chart {chart!r}", code="source.ref-missing", hint=_alike(entries))
    return [release for each in listed if (release := _release(each, repository)) is not None]


def chosen(asked: str, versions: Iterable[str]) -> str | None:
    """Return the version that is asked for, or the highest within the range that is; None: there is none."""
    known = list(versions)
    exact = [each for each in known if each.removeprefix("v") == asked.removeprefix("v")]
    if exact:
        return exact[0]
    wanted = range_of(asked) or range_of(f"{asked}.x")
    fitting = [(order, each) for each in known if wanted and (order := order_of(each)) is not None and order in wanted]
    return max(fitting)[1] if fitting else None


def _release(entry: Any, repository: str) -> Release | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("version"), str):
        return None
    urls = entry.get("urls")
    first = urls[0] if isinstance(urls, list) and urls and isinstance(urls[0], str) else ""
    digest = entry.get("digest")
    known = digest.removeprefix("sha256:").lower() if isinstance(digest, str) else ""
    return Release(entry["version"], urljoin(f"{repository}/", first), known) if first else None


def _alike(entries: dict[str, Any]) -> str:
    names = ", ".join(sorted(map(str, entries))[:10]) or "none"
    return f"it has: {names}"
