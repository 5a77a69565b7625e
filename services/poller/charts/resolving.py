"""Find out which archive a chart means that is asked for by a version or a range: what a lock then holds."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
import zlib
from dataclasses import dataclass
from typing import Any

from services.poller.charts.fetching import Fetching
from services.poller.charts.indexes import INDEX_BYTES, chosen, releases_of
from services.poller.charts.registries import SCHEME, CredentialsOf, place_of
from services.poller.charts.web import Web
from shared.core.kubeyaml import documents
from shared.errors import FindingsError, PermanentError
from shared.fleet.locks import ARCHIVE_BYTES, Asked, LockedChart
from shared.git.remote import SourceError

_UNPACKED_BYTES = 100 << 20
_CHART_BYTES = 1 << 20


class NoChartError(PermanentError):
    """A repository has no such chart, or what it has is none."""

    code = "source.no-chart"


@dataclass(frozen=True, slots=True)
class Resolving:
    """Asks repositories and registries."""

    web: Web
    credentials: CredentialsOf

    async def resolved(self, asked: Asked) -> tuple[LockedChart, bytes]:
        """Return what a chart means now, and its archive.

        Raises:
            SourceError, UrlError, WrongArchiveError: it could not be had.
            NoChartError: there is no such version, or it is no chart of that name and version.
        """
        repo, chart, version = asked
        found = await (self._in_registry(asked) if repo.startswith(SCHEME) else self._in_repository(asked))
        known, content = found
        metadata = await asyncio.to_thread(_metadata, content)
        told = (str(metadata.get("name")), str(metadata.get("version")).removeprefix("v"))
        if told != (chart.rpartition("/")[2], known.version.removeprefix("v")):
            raise NoChartError(
                f"{known.url} holds the chart {told[0]} {told[1]}, not {chart} {known.version}",
                hint=f"tell whoever runs {repo}; ask for another version than {version} until then",
            )
        return known, content

    @property
    def _fetching(self) -> Fetching:
        return Fetching(self.web, None, self.credentials)

    async def _in_repository(self, asked: Asked) -> tuple[LockedChart, bytes]:
        repo, chart, version = asked
        fetching = self._fetching
        index = await fetching.content(f"{repo}/index.yaml", INDEX_BYTES)
        releases = await asyncio.to_thread(releases_of, index, repo, chart)
        by_version = {each.version: each for each in reversed(releases)}
        found = by_version.get(chosen(version, by_version) or "")
        if found is None:
            raise _none(asked, list(by_version))
        content = await fetching.archive(found.url, found.digest) if found.digest else await fetching.content(found.url)
        return _locked(asked, found.version, found.url, content), content

    async def _in_registry(self, asked: Asked) -> tuple[LockedChart, bytes]:
        repo, chart, version = asked
        registry = await self._fetching.registry(place_of(f"{repo}/{chart}"))
        # A tag holds no plus sign.
        tags = {tag.replace("_", "+"): tag for tag in await registry.tags()}
        found = chosen(version, tags)
        if found is None:
            raise _none(asked, list(tags))
        layer = await registry.layer(tags[found])
        if layer.size > ARCHIVE_BYTES:
            raise SourceError(f"{repo}/{chart}:{found} has {layer.size} bytes", code="source.too-large")
        content = await registry.archive(layer.digest)
        locked = _locked(asked, found, f"{repo}/{chart}:{tags[found]}", content)
        if locked.digest != layer.digest:
            raise SourceError(f"{locked.url} is damaged: its digest is {locked.digest}", code="source.wrong-archive")
        return locked, content


def _locked(asked: Asked, version: str, url: str, content: bytes) -> LockedChart:
    repo, chart, wanted = asked
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return LockedChart(repo=repo, chart=chart, asked=wanted, version=version, url=url, digest=digest)


def _none(asked: Asked, versions: list[str]) -> NoChartError:
    repo, chart, version = asked
    some = ", ".join(versions[-5:]) or "none"
    return NoChartError(f"{repo} has no version {version!r} of the chart {chart}", hint=f"it has, among others: {some}")


def _metadata(archive: bytes) -> dict[str, Any]:
    """Return what `Chart.yaml` says.

    Raises:
        NoChartError: there is none.
    """
    try:
        with gzip.open(io.BytesIO(archive)) as content, tarfile.open(fileobj=content, mode="r|") as source:
            taken = 0
            for entry in source:
                taken += entry.size
                if taken > _UNPACKED_BYTES:
                    break
                if entry.isreg() and entry.name.count("/") == 1 and entry.name.endswith("/Chart.yaml"):
                    file = source.extractfile(entry)
                    found = documents(file.read(_CHART_BYTES), "Chart.yaml") if file else []
                    return found[0].value if found and isinstance(found[0].value, dict) else {}
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FindingsError) as error:
        raise NoChartError(f"the archive is no packed chart: {error}") from error
    raise NoChartError("the archive is no packed chart: it has no Chart.yaml")
