"""`towline lock` as people run it: it asks chart repositories, writes `charts.lock`, and rendering needs no network then."""

import asyncio
import json

import pytest

from services.cli.lock import How, lock
from services.cli.offline import render, validate
from shared.fleet.locks import read_lock
from tests.support.chart_repos import ChartRegistry, ChartRepository, sha256
from tests.support.mapping_tree import MappingTree


class Checkout:
    """A fleet with one app, and the command run on it."""

    def __init__(self, folder, printed):
        self.folder = folder / "fleet"
        self._printed = printed
        self.write("fleet.yaml", "version: 1\n")

    def write(self, path, text):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def app(self, name, repo, chart="podinfo", version="1.x"):
        self.write(f"apps/{name}/app.yaml", f"helm: {{repo: '{repo}', chart: {chart}, version: '{version}'}}\n")

    async def lock(self, code=0, **how):
        """Lock, and return what is said."""
        return await self._run(lock, code, how=How(**how))

    async def validate(self, code=0):
        return await self._run(validate, code)

    async def render(self, code=0):
        return await self._run(render, code, output="json")

    async def _run(self, command, code, **options):
        # In a thread, because a command has a loop of its own.
        ended = await asyncio.to_thread(command, self.folder, **options)
        said = "".join(self._printed.readouterr())
        assert ended == code, said
        return said

    @property
    def text(self):
        return (self.folder / "charts.lock").read_text()

    def locked(self):
        """Return by chart: version and digest in hex."""
        charts = read_lock(MappingTree({"charts.lock": self.text})).charts
        return {each.chart: (each.version, each.sha256) for each in charts}


@pytest.fixture
def checkout(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Checkout(tmp_path, capsys)


async def test_what_is_locked_renders_without_network(checkout, chart_servers):
    repository, registry = await chart_servers(ChartRepository), await chart_servers(ChartRegistry)
    contents = repository.add(version="1.2.0"), registry.add("charts/other", "1.0.0")
    repository.add(version="1.1.0")
    checkout.app("web", repository.url)
    checkout.app("api", f"oci://{registry.host}/charts", "other", "1.0.0")

    said = await checkout.lock()
    repository.down = registry.down = 500
    out = await checkout.render()

    assert sorted(said.splitlines()) == ["other 1.0.0: 1.0.0", "podinfo 1.x: 1.2.0"]
    assert checkout.locked() == {"podinfo": ("1.2.0", sha256(contents[0])), "other": ("1.0.0", sha256(contents[1]))}
    texts = {each["app"]: each["objects"][0]["data"]["text"] for each in json.loads(out)["targets"]}
    assert texts == {"web": "1.2.0 hello", "api": "1.0.0 hello"}


async def test_a_lock_changes_only_when_it_is_to(checkout, chart_repository):
    first = chart_repository.add(version="1.0.0")
    checkout.app("web", chart_repository.url)
    await checkout.lock()
    before = checkout.text
    newer = chart_repository.add(version="1.1.0")

    await checkout.lock()
    assert checkout.text == before
    assert checkout.locked() == {"podinfo": ("1.0.0", sha256(first))}

    said = await checkout.lock(update=True, chart=("another",))
    assert said.strip() == "podinfo 1.x: 1.0.0, as before"
    said = await checkout.lock(update=True)
    assert said.strip() == "podinfo 1.x: 1.0.0 -> 1.1.0"
    assert checkout.locked() == {"podinfo": ("1.1.0", sha256(newer))}


async def test_what_is_not_locked_is_refused_by_line_and_found_by_a_check(checkout, chart_repository):
    chart_repository.add()
    checkout.app("web", chart_repository.url)

    said = await checkout.validate(1)
    assert "apps/web/app.yaml:1" in said
    assert "fleet.chart-not-locked" in said
    assert "towline lock" in said
    said = await checkout.lock(1, check=True)
    assert "podinfo 1.x is not locked" in said
    assert not (checkout.folder / "charts.lock").exists()
    assert chart_repository.asked == []

    await checkout.lock()
    await checkout.lock(check=True)
    checkout.app("web", chart_repository.url, version="2.x")
    said = await checkout.validate(1)
    assert "which has it for '1.x'" in said


async def test_archives_that_another_machine_has_are_asked_for(checkout, chart_repository, monkeypatch, tmp_path):
    """Who clones the fleet has the lock and not the archives."""
    chart_repository.add()
    checkout.app("web", chart_repository.url)
    await checkout.lock()
    before = checkout.text
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))

    said = await checkout.render(1)
    assert "render.chart-absent" in said
    assert "towline lock" in said
    await checkout.lock()
    await checkout.render()
    assert checkout.text == before


async def test_one_chart_that_cannot_be_had_leaves_the_others(checkout, chart_servers):
    good, bad = await chart_servers(ChartRepository), await chart_servers(ChartRepository, down=503)
    good.add()
    checkout.app("web", good.url)
    checkout.app("api", bad.url, "other")

    said = await checkout.lock(1)

    assert "error: other 1.x" in said
    assert list(checkout.locked()) == ["podinfo"]


async def test_apps_that_cannot_be_read_lose_nothing(checkout, chart_repository):
    chart_repository.add()
    checkout.app("web", chart_repository.url)
    await checkout.lock()
    checkout.write("apps/web/app.yaml", "helm: {repo: x\n")

    await checkout.lock(1)

    assert list(checkout.locked()) == ["podinfo"]


async def test_credentials_come_from_a_file(checkout, chart_servers, tmp_path):
    repository = await chart_servers(ChartRepository, user="me:secret")
    repository.add()
    checkout.app("web", repository.url)
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps([{"url": repository.url, "username": "me", "password": "secret"}]))

    said = await checkout.lock(1)
    assert "source.auth" in said
    await checkout.lock(credentials=file)

    assert list(checkout.locked()) == ["podinfo"]
    assert "secret" not in checkout.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("helm: {repo: 'https://charts.example.org', chart: podinfo}", "`repo`, `chart` and `version`"),
        ("helm: {chart: podinfo, version: 1.x}", "`repo`, `chart` and `version`"),
        ("helm: {repo: 'https://charts.example.org', version: 1.x}", "the name of a chart"),
        ("helm: {repo: 'https://charts.example.org', chart: ../x, version: 1.x}", "the name of a chart"),
        ("helm: {repo: 'https://me:secret@charts.example.org', chart: x, version: 1.x}", "repo"),
        ("helm: {repo: 'git://charts.example.org', chart: x, version: 1.x}", "repo"),
    ],
)
async def test_what_names_no_chart_is_refused(checkout, text, words):
    checkout.write("apps/web/app.yaml", text)

    said = await checkout.validate(1)

    assert "apps/web/app.yaml:1" in said
    assert words in said
