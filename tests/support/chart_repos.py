"""Chart repositories and registries on loopback, with faults on demand: what `helm` would find there."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio
from aiohttp import web

from tests.support.archives import archive
from tests.support.rendering import config_map

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def packed(name="podinfo", version="1.0.0", **files):
    """A chart as `helm package` packs it, with one object that says its version; the same bytes each time."""
    members = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n",
        "values.yaml": "text: hello\n",
        "templates/a.yaml": config_map("{{ .Release.Name }}", f'"{version} {{{{ .Values.text }}}}"'),
        **files,
    }
    return archive({f"{name}/{path}": text for path, text in members.items()})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@dataclass
class Server:
    """One server on loopback that keeps what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path; a registry adds its own."""
    user: str = ""
    """`name:password` that it wants; empty: everybody may come."""
    down: int = 0
    """The status that it answers to everything."""
    moved: dict[str, str] = field(default_factory=dict)
    """By path, where it sends people instead."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths, and the credential that came along."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Authorization", "")))
        if self.down:
            return web.Response(status=self.down)
        if request.path in self.moved:
            return web.Response(status=302, headers={"Location": self.moved[request.path]})
        return self.found(request)

    def found(self, request: web.Request) -> web.StreamResponse:
        if self.user and not self.knows(request):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="charts"'})
        if request.path not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[request.path])

    def knows(self, request: web.Request) -> bool:
        wanted = "Basic " + base64.b64encode(self.user.encode()).decode()
        return request.headers.get("Authorization") == wanted

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")


@dataclass
class ChartRepository(Server):
    """A repository with an index."""

    entries: dict[str, list] = field(default_factory=dict)

    def add(self, name="podinfo", version="1.0.0", *, url="", digest=True, **files):
        """Offer a chart; return its archive."""
        content = packed(name, version, **files)
        path = f"charts/{name}-{version}.tgz"
        self.files[f"/{path}"] = content
        entry = {"name": name, "version": version, "urls": [url or path]}
        self.entries.setdefault(name, []).append({**entry, **({"digest": sha256(content)} if digest else {})})
        self.files["/index.yaml"] = json.dumps({"apiVersion": "v1", "entries": self.entries}).encode()
        return content


@dataclass
class ChartRegistry(Server):
    """A registry that wants tokens, as the public ones do: for nobody, or for `user`."""

    token: str = "t0ken"
    realm: str = ""
    """Who gives tokens; this server by default."""
    tags: dict[str, list[str]] = field(default_factory=dict)
    page: int = 2
    """So many tags it names at once."""

    def add(self, name="charts/podinfo", version="1.0.0", **files):
        content = packed(name.rpartition("/")[2], version, **files)
        digest = f"sha256:{sha256(content)}"
        layer = {"mediaType": CHART_LAYER, "digest": digest, "size": len(content)}
        manifest = {"schemaVersion": 2, "config": {}, "layers": [{"mediaType": "x", "digest": "y", "size": 1}, layer]}
        tag = version.replace("+", "_")
        self.tags.setdefault(name, []).append(tag)
        self.files[f"/v2/{name}/manifests/{tag}"] = json.dumps(manifest).encode()
        self.files[f"/v2/{name}/blobs/{digest}"] = content
        return content

    def found(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            if self.user and not self.knows(request):
                return web.Response(status=401)
            return web.json_response({"token": self.token})
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            realm = self.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="registry",scope="repository:x:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if request.path.endswith("/tags/list"):
            return self.listed(request)
        if request.path not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[request.path])

    def listed(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/v2/").removesuffix("/tags/list")
        begin = int(request.query.get("last", "0"))
        tags = self.tags.get(name, [])
        more = begin + self.page < len(tags)
        link = {"Link": f'</v2/{name}/tags/list?last={begin + self.page}>; rel="next"'} if more else {}
        return web.json_response({"name": name, "tags": tags[begin : begin + self.page]}, headers=link)


async def _serve(server):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


@pytest_asyncio.fixture
async def chart_servers() -> AsyncIterator:
    """A function: start a server of a kind, with what it is to have."""
    runners = []

    async def start(kind, **settings):
        server = kind(**settings)
        runners.append(await _serve(server))
        return server

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest_asyncio.fixture
async def chart_repository(chart_servers) -> ChartRepository:
    return await chart_servers(ChartRepository)


@pytest_asyncio.fixture
async def chart_registry(chart_servers) -> ChartRegistry:
    return await chart_servers(ChartRegistry)
