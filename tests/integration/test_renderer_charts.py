"""Charts of chart repositories on their whole way: locked in git, fetched by the poller, rendered from the bus."""

import asyncio
import shutil

import pytest

from shared import subjects
from shared.fleet.locks import LockedChart, lock_text
from tests.support.chart_repos import ChartRegistry, ChartRepository, sha256
from tests.support.renderer_line import line
from tests.support.rendering import config_map

FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: c1, labels: {env: dev}}\n",
    "apps/plain/a.yaml": config_map("plain"),
    "apps/web/values.yaml": "text: mine\n",
}


@pytest.fixture
def fleet(local_git):
    """A function: commit changes to the fleet repository and return the commit."""
    return lambda changes: local_git.commit("fleet", changes)


@pytest.fixture
def run(bus_server, tmp_path, local_git):
    """A function: run poller and renderer on that repository; charts may come from below the prefixes given."""
    return lambda *allow: line(bus_server, tmp_path, f"fleet={local_git.path('fleet')}", allow=allow)


def app(repo, version="1.x", chart="podinfo"):
    return {
        "apps/web/app.yaml": f"helm: {{repo: '{repo}', chart: {chart}, version: '{version}'}}\nlayers: [values.yaml]\n"
    }


def lock(repo, url, content, version="1.0.0", asked="1.x"):
    digest = f"sha256:{sha256(content)}"
    locked = LockedChart(repo=repo, chart="podinfo", asked=asked, version=version, url=url, digest=digest)
    return {"charts.lock": lock_text([locked])}


def of_repository(server, version="1.0.0", asked="1.x", **files):
    """The files of a fleet whose chart is in a repository."""
    content = server.add(version=version, **files)
    url = f"{server.url}/charts/podinfo-{version}.tgz"
    return app(server.url, asked) | lock(server.url, url, content, version, asked)


def of_registry(server):
    repo = f"oci://{server.host}/charts"
    return app(repo) | lock(repo, f"{repo}/podinfo:1.0.0", server.add())


@pytest.mark.parametrize(("kind", "files"), [(ChartRepository, of_repository), (ChartRegistry, of_registry)])
async def test_a_locked_chart_is_fetched_once_and_rendered(run, fleet, chart_servers, kind, files):
    server = await chart_servers(kind)
    commit = fleet(FLEET | files(server))
    async with run(server.url) as renders:
        rendered = await renders.at(commit)
        assert await renders.targets(rendered) == {
            ("c1", "plain"): ["ConfigMap/plain"],
            ("c1", "web"): ["ConfigMap/web"],
        }

        asked = len(server.asked)
        changed = fleet({"apps/web/values.yaml": "text: other\n"})
        again = await renders.at(changed)

    bundles = [(await renders.listing(each)).bundles for each in (rendered, again)]
    assert bundles[0].keys() != bundles[1].keys()
    assert len(server.asked) == asked


async def test_a_chart_that_is_not_locked_is_named_with_the_command(run, fleet, chart_repository):
    commit = fleet(FLEET | of_repository(chart_repository) | app(chart_repository.url, "2.x"))
    async with run(chart_repository.url) as renders:
        rendered = await renders.at(commit)
        listing = await renders.listing(rendered)

    (target,) = [each for each in listing.targets if each.app == "web"]
    (problem,) = target.problems
    assert (problem.code, problem.file, problem.line) == ("fleet.chart-not-locked", "apps/web/app.yaml", 1)
    assert "which has it for '1.x'" in problem.message
    assert "towline lock" in problem.hint
    assert rendered.complete


async def test_a_repository_that_is_down_holds_up_its_apps_alone(run, fleet, chart_repository):
    """I8: the other app goes on, and the chart comes by itself when the repository does."""
    chart_repository.down = 503
    commit = fleet(FLEET | of_repository(chart_repository))
    async with run(chart_repository.url) as renders:
        rendered = await renders.at(commit)
        found = await renders.targets(rendered)
        assert found == {("c1", "plain"): ["ConfigMap/plain"], ("c1", "web"): "apps/web/app.yaml:1 source.unreachable"}

        chart_repository.down = 0
        while (await renders.targets(await renders.at(commit)))["c1", "web"] != ["ConfigMap/web"]:
            pass


async def test_a_chart_that_the_disk_does_not_take_is_rendered(run, fleet, chart_repository, tmp_path):
    """Without room on the disk, a chart is fetched anew when it is lost: nothing else hangs on its copy there."""
    (tmp_path / "charts").write_text("in the way")
    commit = fleet(FLEET | of_repository(chart_repository))
    async with run(chart_repository.url) as renders:
        found = await renders.targets(await renders.at(commit))

    assert found["c1", "web"] == ["ConfigMap/web"]


async def test_an_archive_that_was_exchanged_is_not_rendered(run, fleet, chart_repository):
    files = of_repository(chart_repository)
    chart_repository.add(text="evil")
    commit = fleet(FLEET | files)
    async with run(chart_repository.url) as renders:
        found = await renders.targets(await renders.at(commit))

    assert found["c1", "web"] == "apps/web/app.yaml:1 source.wrong-archive"


async def test_a_host_that_nobody_allows_is_not_asked(run, fleet, chart_repository):
    commit = fleet(FLEET | of_repository(chart_repository))
    async with run() as renders:
        found = await renders.targets(await renders.at(commit))

    assert found["c1", "web"] == "apps/web/app.yaml:1 source.not-allowed"
    assert chart_repository.asked == []


async def test_a_chart_that_the_bus_lost_is_stored_again_without_its_repository(
    run, fleet, chart_repository, bus_server, tmp_path
):
    commit = fleet(FLEET | of_repository(chart_repository))
    async with run(chart_repository.url) as renders:
        assert (await renders.targets(await renders.at(commit)))["c1", "web"] == ["ConfigMap/web"]
    chart_repository.down = 503
    async with bus_server.bus("poller") as bus:
        await bus.purge(subjects.SOURCES, f"{subjects.ROOT}.source.>")
    await asyncio.to_thread(shutil.rmtree, tmp_path / "render-charts")

    commit = fleet({"apps/web/values.yaml": "text: other\n"})
    async with run(chart_repository.url) as renders:
        while (await renders.targets(await renders.at(commit))).get(("c1", "web")) != ["ConfigMap/web"]:
            pass
