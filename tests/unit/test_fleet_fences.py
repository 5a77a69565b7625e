"""What a project lets its apps take, and where it lets them be: one rule, for apps of the fleet and of tenants."""

import pytest

from services.releaser.fencing import NotFencedError, fenced, within
from services.renderer.listing import fleet_part
from services.renderer.targets import Repository, plan_of
from shared.fleet.fences import identity_of
from shared.fleet.read import read_fleet
from shared.messages.renders import AppPart, ProjectPart, TargetRender
from tests.support.mapping_tree import MappingTree

PLATFORM, EVIL = "https://git.example.org/platform.git", "https://git.example.org/evil.git"
FLEET = f"""version: 1
sources:
  platform: {{url: {PLATFORM}, verify: {{mode: strict, signers: [ops]}}}}
  edge: {{url: {PLATFORM}, ref: edge}}
projects:
  shop: {{sources: [fleet, platform], clusters: {{env: [staging, prod]}}}}
  libs: {{sources: [platform]}}
"""
CLUSTERS = "clusters:\n- {name: dev, labels: {env: dev}}\n- {name: prod, labels: {env: prod}}\n"


def read(app, **how):
    files = {"fleet.yaml": FLEET, "clusters/all.yaml": CLUSTERS, "apps/web/app.yaml": app, "apps/web/a.yaml": "a: b\n"}
    return read_fleet(MappingTree(files), "fleet", **how)


def plan(app):
    fleet = read(app)
    tree = MappingTree({"apps/web/app.yaml": app, "apps/web/a.yaml": "a: b\n"})
    return plan_of(
        fleet, tree, fleet.clusters, {(PLATFORM, ""): Repository(MappingTree({"a.yaml": "a: b\n"}), provenance=1)}
    )


@pytest.mark.parametrize(
    ("app", "refused"),
    [
        ("project: shop\n", ""),
        ("project: shop\nsource: platform\n", ""),
        ("project: shop\nsource: {repo: 'https://GIT.example.org:443/platform'}\n", ""),
        (f"project: shop\nsource: {{repo: {EVIL}}}\n", f"takes nothing from {EVIL}, only from fleet, platform"),
        ("project: libs\nsource: platform\n", ""),
        ("project: libs\n", "takes nothing from the source 'fleet', only from platform"),
        (f"source: {{repo: {EVIL}}}\n", ""),
        (f"project: shop\nhelm: {{repo: {EVIL}, chart: x, version: 1.x}}\n", f"takes nothing from {EVIL}, only from"),
        (f"project: shop\nhelm: {{repo: {PLATFORM}, chart: x, version: 1.x}}\n", ""),
    ],
)
def test_an_app_takes_content_from_the_sources_of_its_project_only(app, refused):
    fleet = read(app)

    assert [(each.code, each.app) for each in fleet.errors] == ([("fleet.fenced", "web")] if refused else [])
    assert fleet.unreadable_apps == (("web",) if refused else ())
    assert all(refused in each.message for each in fleet.errors)


def test_who_does_not_know_the_sources_name_takes_it_for_one_that_is_not_declared():
    assert read("project: shop\n", named=False).errors == ()
    assert [each.code for each in read("project: libs\n", named=False).errors] == ["fleet.fenced"]


def test_an_app_that_names_no_cluster_is_for_those_of_its_project():
    assert [each.cluster for each in plan("project: shop\n").targets] == ["prod"]
    assert [each.cluster for each in plan("{}").targets] == ["dev", "prod"]


def test_an_app_that_names_a_cluster_outside_its_project_is_refused_there():
    dev, prod = plan("project: shop\ntargets: [{env: dev}, {env: prod}]\n").targets

    assert (dev.inputs, [(each.code, each.cluster, each.app) for each in dev.findings]) == (
        None,
        [("fleet.fenced", "dev", "web")],
    )
    assert prod.inputs is not None


@pytest.mark.parametrize(
    ("source", "modes"),
    [
        ("platform", [("strict", ("ops",))]),
        ("{repo: 'ssh://git@git.example.org/platform.git'}", []),
        (f"{{repo: {PLATFORM}}}", [("strict", ("ops",))]),
        ("{repo: 'https://git.example.org/platform/'}", [("strict", ("ops",))]),
        ("{repo: 'https://git.example.org:0443/platform'}", [("strict", ("ops",))]),
        ("{repo: 'https://git.example.org:/platform'}", [("strict", ("ops",))]),
        ("{repo: 'https://git.example.org/Platform'}", [("strict", ("ops",))]),
        ("{repo: 'https://git.example.org:8443/platform'}", []),
    ],
)
def test_the_rules_of_signatures_go_with_the_repository_however_an_app_names_it(source, modes):
    (need,) = plan(f"source: {source}\n").needs

    assert [(each.mode, each.signers) for each in need.verify] == modes


PROJECTS = fleet_part(read("{}")).projects


@pytest.mark.parametrize(
    ("foreign", "repository", "project", "refused"),
    [
        ("team", "", "shop", True),
        ("platform", "", "shop", False),
        ("platform", EVIL, "shop", True),
        ("platform", PLATFORM, "libs", False),
        ("team", PLATFORM, "libs", True),
        ("", EVIL, "shop", False),
    ],
)
def test_a_tenants_app_enters_a_project_only_from_its_sources(foreign, repository, project, refused):
    """What a tenant's own fleet.yaml calls `platform` counts for nothing: its URL does. The fleet's apps were judged before."""
    app = AppPart(name="web", project=project, repository=repository)
    if not refused:
        assert fenced(app, PROJECTS, foreign).options["fence"] == {"namespaces": [], "clusterScoped": False}
        return
    with pytest.raises(NotFencedError):
        fenced(app, PROJECTS, foreign)


def test_a_tenants_app_stays_as_it_is_on_clusters_that_it_may_not_name_and_is_nowhere_else():
    apps = {
        "a": AppPart(name="a", project="shop"),
        "b": AppPart(name="b", project="shop", everywhere=True),
        "c": AppPart(name="c"),
    }
    targets = [TargetRender(cluster=cluster, app=app, bundle="x") for app in "abc" for cluster in ("dev", "prod")]
    kept, refused = within(targets, apps, PROJECTS, {"dev": {"env": "dev"}, "prod": {"env": "prod"}})

    assert [(each.app, each.cluster, each.bundle) for each in kept] == [
        ("a", "dev", ""),
        ("a", "prod", "x"),
        ("b", "prod", "x"),
        ("c", "dev", "x"),
        ("c", "prod", "x"),
    ]
    assert refused == {"a": ["dev"]}


@pytest.mark.parametrize(
    "url",
    [
        "https://h/a/b.git",
        "https://H:443/a/b/",
        "https://h:0443/a/b",
        "https://h:/a/b",
        "https://me@h/a/b",
        "https://h/a%2Fb.git",
    ],
)
def test_spellings_of_a_url_are_one(url):
    assert identity_of(url) == "https://h/a/b"


def test_two_spellings_of_ssh_are_one():
    assert identity_of("git@h:a/b.git") == identity_of("ssh://h:22/a/b") == "ssh://h/a/b"
    assert identity_of("/srv/a.git") == "file:///srv/a"


def test_another_port_is_another_place():
    assert identity_of("https://h:08443/a") == "https://h:8443/a"
    assert identity_of("ssh://[::1]:22/a") == identity_of("ssh://[::1]/a") == "ssh://[::1]/a"


def test_a_project_without_bounds_bounds_nothing():
    app = AppPart(name="web", project="free", repository=EVIL)

    assert fenced(app, {"free": ProjectPart()}, "team").options["fence"] == {"namespaces": [], "clusterScoped": False}
