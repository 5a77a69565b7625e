"""Ask an OCI registry for charts, as `helm push` stores them: tags, manifests, archives by digest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from yarl import URL

from services.poller.charts.web import Answer, Grant, Web, location_of
from shared.fleet.locks import ARCHIVE_BYTES
from shared.git.remote import Credentials, SourceError
from shared.git.urls import Location, UrlError, parse_url

SCHEME = "oci://"
_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_JSON_BYTES = 8 << 20
_PAGES = 200
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_CHALLENGE = frozenset({401})

CredentialsOf = Callable[[Location], Credentials | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """Where the archive of a chart is in its repository."""

    digest: str
    """`sha256:` and hex."""
    size: int


def place_of(url: str) -> Location:
    """Return where the repository at `oci://host/path` answers.

    Registries on this machine are asked without encryption, as everywhere.

    Raises:
        UrlError: it is malformed.
    """
    if not url.startswith(SCHEME):
        raise UrlError(f"{url!r} is no registry", hint="write it as oci://host/path")
    rest = url.removeprefix(SCHEME)
    try:
        return parse_url(f"http://{rest}", allow_insecure=True)
    except UrlError:
        return parse_url(f"https://{rest}")


class Registry:
    """One repository of a registry."""

    def __init__(self, web: Web, place: Location, credentials: CredentialsOf) -> None:
        self._web = web
        self._place = place
        self._credentials = credentials
        self._own = credentials(place)
        self._host = Location(place.scheme, place.host, place.port, "")
        self._grant: Grant | None = None

    async def tags(self) -> list[str]:
        """Return all tags.

        Raises:
            SourceError: they could not be had.
        """
        found: list[str] = []
        url = self._url("tags/list?n=1000")
        for _ in range(_PAGES):
            answer = await self._get(url, _JSON_BYTES, "application/json")
            listed = self._mapping(answer).get("tags") or []
            found += [tag for tag in listed if isinstance(tag, str)]
            following = re.match(r"<([^>]+)>", answer.headers.get("Link", ""))
            if following is None:
                return found
            url = str(URL(url).join(URL(following[1])))
            if not self._host.covers(location_of(URL(url))):
                break
        raise SourceError(f"the tags of {self._shown} come to no end", code="source.protocol")

    async def layer(self, tag: str) -> Layer:
        """Return where the archive of the chart with a tag is.

        Raises:
            SourceError: it could not be had, or is no chart.
        """
        answer = await self._get(self._url(f"manifests/{tag}"), _JSON_BYTES, _MANIFEST)
        layers = self._mapping(answer).get("layers")
        for each in layers if isinstance(layers, list) else ():
            known = isinstance(each, dict) and each.get("mediaType") == _CHART
            if known and _DIGEST.fullmatch(str(each.get("digest"))) and isinstance(each.get("size"), int):
                return Layer(each["digest"], each["size"])
        raise SourceError(f"{self._shown}:{tag} is no chart", code="source.protocol", hint="push it with `helm push`")

    async def archive(self, digest: str) -> bytes:
        """Return the bytes with a digest; whoever asks verifies them.

        Raises:
            SourceError: they could not be had.
        """
        return (await self._get(self._url(f"blobs/{digest}"), ARCHIVE_BYTES, "*/*")).body

    @property
    def _shown(self) -> str:
        return SCHEME + self._place.url.partition("://")[2]

    def _url(self, what: str) -> str:
        return f"{self._host.origin}/v2{self._place.path}/{what}"

    def _mapping(self, answer: Answer) -> dict[str, Any]:
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self._shown} answers with no JSON", code="source.protocol") from error
        return found if isinstance(found, dict) else {}

    async def _get(self, url: str, limit_bytes: int, accept: str) -> Answer:
        """Return an answer, proving who we are as far as the registry asks for it."""
        answer = await self._web.get(url, limit_bytes=limit_bytes, grant=self._grant, accept=accept, also=_CHALLENGE)
        if answer.status not in _CHALLENGE:
            return answer
        self._grant = await self._granted(answer.headers.get("WWW-Authenticate", ""))
        return await self._web.get(url, limit_bytes=limit_bytes, grant=self._grant, accept=accept)

    async def _granted(self, challenge: str) -> Grant | None:
        """Return what the registry asks for: the credential itself, or a token for it, or for nobody."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return Grant.basic(self._own, self._host) if self._own else None
        said = dict(_PARAMETER.findall(rest))
        if kind.lower() != "bearer" or not said.get("realm"):
            raise SourceError(f"{self._shown} wants {kind or 'nothing'} as credential", code="source.protocol")
        realm = URL(said["realm"])
        self._web.check(realm, insecure=self._place.scheme == "http")
        asked = {"service": said.get("service", ""), "scope": f"repository:{self._place.path.strip('/')}:pull"}
        url = str(realm.update_query(urlencode(asked)))
        answer = await self._web.get(url, limit_bytes=_JSON_BYTES, grant=self._for_realm(realm))
        told = self._mapping(answer)
        token = told.get("token") or told.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SourceError(f"{location_of(realm).url} gives no token for {self._shown}", code="source.auth")
        return Grant(f"Bearer {token}", self._host)

    def _for_realm(self, realm: URL) -> Grant | None:
        """Return the credential for who gives tokens: the registry's own on its host, elsewhere one of its own."""
        place = location_of(realm)
        if place.origin == self._host.origin:
            return Grant.basic(self._own, self._host) if self._own else None
        other = self._credentials(place)
        return Grant.basic(other) if other else None
