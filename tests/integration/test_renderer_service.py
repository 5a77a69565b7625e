"""Poller and renderer with a real bus, real git and real engines: from a commit to bundles on the bus."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared import subjects
from shared.bus.blobs import blob_place, has_blob
from shared.messages.facts import Command
from shared.messages.sources import Lost
from tests.support.line import until
from tests.support.renderer_line import line
from tests.support.rendering import config_map

FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: dev-1, labels: {env: dev}}\n- {name: prod-1, labels: {env: prod}}\n",
    "apps/web/app.yaml": 'namespace: web\nlayers: ["overlays/{env}"]\n',
    "apps/web/base/kustomization.yaml": "resources: [a.yaml]\n",
    "apps/web/base/a.yaml": config_map(),
    "apps/web/overlays/dev/kustomization.yaml": "resources: [../../base]\nnamePrefix: dev-\n",
    "apps/web/overlays/prod/kustomization.yaml": "resources: [../../base]\nnamePrefix: prod-\n",
    "apps/tools/tools.yaml": config_map("tools"),
}
BOTH = ("dev-1", "prod-1")


@pytest.fixture
def fleet(local_git):
    """A function: commit changes to the fleet repository and return the commit."""
    return lambda changes: local_git.commit("fleet", changes)


@pytest.fixture
def source(local_git):
    return f"fleet={local_git.path('fleet')}"


async def test_a_commit_becomes_a_bundle_for_every_target(bus_server, tmp_path, fleet, source):
    """I2."""
    commit = fleet(FLEET)
    async with line(bus_server, tmp_path, source) as renders:
        rendered = await renders.at(commit)

        assert await renders.targets(rendered) == {
            ("dev-1", "web"): ["ConfigMap/dev-web"],
            ("prod-1", "web"): ["ConfigMap/prod-web"],
            **{(cluster, "tools"): ["ConfigMap/tools"] for cluster in BOTH},
        }
        assert len((await renders.listing(rendered)).bundles) == 3
        assert (rendered.targets_ok, rendered.targets_failed) == (4, 0)
        assert {"kubectl", "renderer"} <= rendered.tools.keys()


async def test_a_failing_target_fails_alone_and_the_fix_renders(bus_server, tmp_path, fleet, source):
    """I8, A05."""
    fleet(FLEET)
    broken = fleet({"apps/web/overlays/prod/kustomization.yaml": "resources:\n- ../../gone\n"})
    async with line(bus_server, tmp_path, source) as renders:
        targets = await renders.targets(await renders.at(broken))

        assert targets["prod-1", "web"] == "apps/web/overlays/prod/kustomization.yaml:2 render.missing-file"
        assert targets["dev-1", "web"] == ["ConfigMap/dev-web"]
        assert targets["prod-1", "tools"] == ["ConfigMap/tools"]
        fixed = fleet({"apps/web/overlays/prod/kustomization.yaml": "resources: [../../base]\n"})
        targets = await renders.targets(await renders.at(fixed))
        assert targets["prod-1", "web"] == ["ConfigMap/web"]


async def test_variables_are_filled_in_and_equal_ones_share_a_bundle(bus_server, tmp_path, fleet, source):
    app = {"apps/web/app.yaml": FLEET["apps/web/app.yaml"] + "substitute: {strict: true}\n"}
    base = {"apps/web/base/a.yaml": config_map("web-${env}"), "apps/tools/app.yaml": "substitute: {}\n"}
    commit = fleet({**FLEET, **app, **base})
    async with line(bus_server, tmp_path, source) as renders:
        rendered = await renders.at(commit)

        targets = await renders.targets(rendered)
        assert targets["dev-1", "web"] == ["ConfigMap/dev-web-dev"]
        assert targets["prod-1", "web"] == ["ConfigMap/prod-web-prod"]
        assert len((await renders.listing(rendered)).bundles) == 3


async def test_a_poisonous_commit_fails_alone_and_the_next_commit_renders(bus_server, tmp_path, fleet, source):
    """F25, A16."""
    fleet(FLEET)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    poison = fleet({"apps/bomb/app.yaml": "plain: {template: jinja}\n", "apps/bomb/a.yaml": config_map(text=loop)})
    async with line(bus_server, tmp_path, source, wall_s=1) as renders:
        targets = await renders.targets(await renders.at(poison))

        assert targets["dev-1", "bomb"].endswith("render.timeout")
        assert targets["dev-1", "tools"] == ["ConfigMap/tools"]
        cured = fleet({"apps/bomb/a.yaml": config_map("cured")})
        targets = await renders.targets(await renders.at(cured))
        assert targets["dev-1", "bomb"] == ["ConfigMap/cured"]


@pytest.mark.slow
async def test_a_source_full_of_poison_does_not_hold_up_another(bus_server, tmp_path, fleet, source, local_git):
    """F25, I8."""
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    bombs = {f"apps/b{n}/app.yaml": "plain: {template: jinja}\n" for n in range(4)}
    bombs |= {f"apps/b{n}/a.yaml": config_map(text=loop) for n in range(4)}
    local_git.commit("other", {"a.yaml": config_map()})
    other = f"other={local_git.path('other')}"
    async with line(bus_server, tmp_path, source, other, wall_s=2, workers=1) as renders:
        await renders.clusters(1, one={})
        poison = fleet({**FLEET, **bombs})
        good = local_git.commit("other", {"a.yaml": config_map("good")})
        async with asyncio.timeout(60):
            order = []
            while not {poison, good} <= set(order):
                order.append((await renders.rendered.get()).commit)

        assert order.index(good) < order.index(poison)


async def test_clusters_that_joined_are_rendered_for_with_their_labels(bus_server, tmp_path, fleet, source):
    commit = fleet(FLEET)
    async with line(bus_server, tmp_path, source) as renders:
        await renders.at(commit)
        await renders.clusters(7, **{"dev-2": {"env": "dev"}})
        other = fleet({"apps/tools/tools.yaml": config_map("more")})
        rendered = await renders.at(other)

        assert rendered.clusters_version == 7
        assert (await renders.targets(rendered))["dev-2", "web"] == ["ConfigMap/dev-web"]


async def test_a_source_without_fleet_files_is_one_app_on_every_cluster(bus_server, tmp_path, local_git):
    commit = local_git.commit("plain", {"a.yaml": config_map()})
    async with line(bus_server, tmp_path, f"plain={local_git.path('plain')}") as renders:
        await renders.clusters(1, one={})
        await renders.at(commit)
        commit = local_git.commit("plain", {"a.yaml": config_map("other")})

        assert await renders.targets(await renders.at(commit)) == {("one", "plain"): ["ConfigMap/other"]}


async def test_another_repository_is_asked_for_and_rendered_from(bus_server, tmp_path, fleet, source, local_git):
    local_git.commit("platform", {"deploy/kustomization.yaml": "resources: [a.yaml]", "deploy/a.yaml": config_map()})
    app = f"source: {{repo: '{local_git.path('platform')}', ref: main, path: deploy}}\n"
    commit = fleet({**FLEET, "apps/platform/app.yaml": app})
    async with line(bus_server, tmp_path, source, allow=[str(local_git.root)]) as renders:
        rendered = await renders.at(commit)

        assert (await renders.targets(rendered))["dev-1", "platform"] == ["ConfigMap/web"]
        target = next(each for each in (await renders.listing(rendered)).targets if each.app == "platform")
        repositories = {rendered.provenance[index].repository for index in target.provenance}
        assert str(local_git.path("platform")) in repositories


async def test_packs_that_the_bus_lost_are_asked_for_again(bus_server, tmp_path, fleet, source):
    """A13."""
    fleet(FLEET)
    async with bus_server.bus("steward") as steward:
        async with line(bus_server, tmp_path / "one", source):
            pass
        await steward.purge(subjects.SOURCES, f"{subjects.ROOT}.source.>")
        commit = fleet({"apps/tools/tools.yaml": config_map("more")})
        # The poller remembers packs that are gone; this renderer has none of them.
        async with line(bus_server, tmp_path / "one", source) as renders:
            rendered = await renders.at(commit)

            assert (await renders.targets(rendered))["dev-1", "tools"] == ["ConfigMap/more"]


@pytest.mark.parametrize("kept", [True, False], ids=["kept on disk", "rendered again"])
async def test_a14_what_an_older_commit_brought_comes_back_and_nothing_is_told(
    bus_server, tmp_path, fleet, source, kept
):
    """A14: the bus is lost while a cluster runs an older commit; the present one brings other bundles."""
    before = fleet(FLEET)
    async with line(bus_server, tmp_path, source) as renders:
        rendered = await renders.at(before)
        listing = await renders.listing(rendered)
        target = next(each for each in listing.targets if (each.cluster, each.app) == ("dev-1", "web"))
        blob = listing.bundles[target.bundle].blob.model_copy(update={"key": ""})
        await renders.at(fleet({"apps/web/base/a.yaml": config_map(text="now")}))
        async with bus_server.bus("steward") as steward:
            await steward.purge(subjects.BLOBS, f"{subjects.ROOT}.blob.>")
        if not kept:
            (tmp_path / "render-cache" / "blobs" / blob.digest).unlink()
        lost = Lost(apps=("web",), blobs=(blob,), provenance=rendered.provenance)
        async with bus_server.bus("auditor") as auditor:
            arguments = {"source": "fleet", "lost": [lost.model_dump(mode="json")]}
            command = Command(id="1", verb="restore", arguments=arguments, actor="releaser", at=datetime.now(UTC))
            await auditor.publish(subjects.command("poller", command.id), command.to_bytes())

        await until(lambda: has_blob(renders.reader, blob_place(subjects.SHARED), blob), what="its bundle is back")
        after = fleet({"apps/tools/tools.yaml": config_map("more")})

        assert (await renders.rendered.get()).commit == after


async def test_a_large_listing_is_a_blob(bus_server, tmp_path, fleet, source):
    clusters = "clusters:\n" + "".join(f"- {{name: c{number}, labels: {{env: dev}}}}\n" for number in range(1500))
    commit = fleet({**FLEET, "clusters/all.yaml": clusters})
    async with line(bus_server, tmp_path, source) as renders:
        rendered = await renders.at(commit)
        listing = await renders.listing(rendered)

        assert rendered.listing is None
        assert (len(listing.targets), rendered.targets_ok, len(listing.bundles)) == (3000, 3000, 2)


async def test_equal_commits_give_equal_bundles_on_another_renderer(bus_server, tmp_path, fleet, source):
    """I12, A32."""
    commit = fleet(FLEET)
    digests = []
    async with asyncio.timeout(60):
        for folder in ("one", "two"):
            async with line(bus_server, tmp_path / folder, source) as renders:
                listing = await renders.listing(await renders.at(commit))
                digests.append(sorted(listing.bundles))

    assert digests[0] == digests[1]


async def test_what_schemas_refuse_is_told_and_forbids_a_bundle_only_where_the_app_says_so(
    bus_server, tmp_path, fleet, source
):
    """The kinds that the app defines itself count; the version is that of the cluster."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80, prot: TCP}]}\n"
    commit = fleet(
        FLEET
        | {
            "clusters/all.yaml": "clusters:\n- {name: dev-1}\n- {name: prod-1, kubeVersion: v1.24.9}\n",
            "apps/web/app.yaml": "namespace: web\nlayers: [overlays/prod]\n",
            "apps/lax/a.yaml": service,
            "apps/strict/a.yaml": service,
            "apps/strict/app.yaml": "validate: strict\n",
            "apps/old/a.yaml": "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n",
        }
    )
    async with line(bus_server, tmp_path, source) as renders:
        rendered = await renders.at(commit)
        targets = await renders.targets(rendered)
        problems = {
            (each.cluster, each.app): [(one.code, one.severity, f"{one.file}:{one.line}") for one in each.problems]
            for each in (await renders.listing(rendered)).targets
            if each.problems
        }

        assert targets["dev-1", "lax"] == ["Service/web"]
        assert targets["dev-1", "strict"] == "apps/strict/a.yaml:4 schema.unknown-field"
        assert problems == {
            **{(cluster, "lax"): [("schema.unknown-field", "warning", "apps/lax/a.yaml:4")] for cluster in BOTH},
            **{(cluster, "strict"): [("schema.unknown-field", "error", "apps/strict/a.yaml:4")] for cluster in BOTH},
            ("dev-1", "old"): [("schema.removed-version", "warning", "apps/old/a.yaml:1")],
        }


async def test_an_object_of_two_apps_of_a_cluster_is_warned_of_before_an_agent_refuses_it(
    bus_server, tmp_path, fleet, source
):
    twin = {"apps/twin/a.yaml": config_map("tools", "other"), "apps/twin/app.yaml": "targets: {env: prod}\n"}
    commit = fleet(FLEET | twin)
    async with line(bus_server, tmp_path, source) as renders:
        listing = await renders.listing(await renders.at(commit))

        (problem,) = [each for target in listing.targets for each in target.problems]
        assert (problem.cluster, problem.app, problem.code, problem.severity) == (
            "prod-1",
            "twin",
            "object.two-apps",
            "warning",
        )
        assert all(target.bundle for target in listing.targets)
        # Kept on disk and known already, it is said again.
        again = await renders.listing(await renders.at(fleet({"README.md": "x"})))
        assert [each.code for target in again.targets for each in target.problems] == ["object.two-apps"]
