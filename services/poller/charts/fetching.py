"""Fetch the archive that a lock names, and believe nothing of it but its digest."""

from __future__ import annotations

import asyncio
import hashlib

from services.poller.charts.registries import SCHEME, CredentialsOf, Registry, place_of
from services.poller.charts.web import Grant, Web
from services.poller.permits import Permits
from shared.errors import PermanentError
from shared.fleet.locks import ARCHIVE_BYTES
from shared.git.urls import Location, parse_url


class WrongArchiveError(PermanentError):
    """A chart repository gives another archive than the lock names."""

    code = "source.wrong-archive"


class Fetching:
    """Fetches archives; without `permits` from anywhere."""

    def __init__(self, web: Web, permits: Permits | None, credentials: CredentialsOf) -> None:
        self._web = web
        self._permits = permits
        self._credentials = credentials

    async def archive(self, url: str, sha256: str) -> bytes:
        """Return the archive at `url` with this digest in hex.

        Raises:
            UrlError: the hub does not go there.
            SourceError: it could not be had.
            WrongArchiveError: what is there is something else.
        """
        content = await (self._blob(url, sha256) if url.startswith(SCHEME) else self.content(url))
        found = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        if found != sha256:
            raise WrongArchiveError(
                f"{url} has the digest sha256:{found}, the lock names sha256:{sha256}",
                hint="find out why it changed; then run `towline lock --update` and commit charts.lock",
            )
        return content

    async def content(self, url: str, limit_bytes: int = ARCHIVE_BYTES) -> bytes:
        """Return what is at `url`, which begins with https.

        Raises:
            UrlError, SourceError: it could not be had.
        """
        place = self._permits.location(url) if self._permits else parse_url(url, allow_insecure=True)
        known = await asyncio.to_thread(self._credentials, place)
        grant = Grant.basic(known) if known else None
        return (await self._web.get(place.url, limit_bytes=limit_bytes, grant=grant)).body

    async def _blob(self, url: str, sha256: str) -> bytes:
        place = place_of(url.rpartition(":")[0] if ":" in url.rpartition("/")[2] else url)
        if self._permits is not None:
            self._permits.checked(place)
        return await (await self.registry(place)).archive(f"sha256:{sha256}")

    async def registry(self, place: Location) -> Registry:
        """Return the repository of a registry at `place`."""
        return await asyncio.to_thread(Registry, self._web, place, self._credentials)
