"""Which targets a commit has, and what each is made of."""

from datetime import UTC, datetime

from services.renderer.listing import listing_of
from services.renderer.targets import Repository, effective, plan_of
from services.renderer.validate import fleet_findings
from shared.errors import Finding
from shared.fleet.model import Cluster
from shared.fleet.read import read_fleet
from shared.messages.releases import Cluster as Registered
from shared.messages.releases import Membership
from tests.support.mapping_tree import MappingTree

FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n"
    "- {name: dev-1, labels: {env: dev, region: eu}}\n"
    "- {name: prod-1, labels: {env: prod, region: eu}}\n"
    "- {name: prod-2, labels: {env: prod, region: us}, values: {size: 3}}\n",
    "apps/web/app.yaml": 'layers: ["overlays/{env}", "components/{region}"]\n',
    "apps/web/base/kustomization.yaml": "resources: [a.yaml, ../../../common]\n",
    "apps/web/base/a.yaml": "a: b",
    "apps/web/overlays/dev/kustomization.yaml": "resources: [../../base]\n",
    "apps/web/overlays/prod/kustomization.yaml": "resources: [../../base]\n",
    "apps/web/components/eu/kustomization.yaml": "kind: Component\n",
    "common/kustomization.yaml": "resources: []\n",
}
JOINED = {"membership": Membership.JOINED, "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}


def plan(changes=(), registered=(), repositories=None, source="fleet"):
    tree = MappingTree({path: text for path, text in {**FLEET, **dict(changes)}.items() if text is not None})
    fleet = read_fleet(tree, source)
    return plan_of(fleet, tree, effective(fleet, registered), repositories or {})


def of(planned, cluster, app="web"):
    return next(each for each in planned.targets if (each.cluster, each.app) == (cluster, app))


def codes(target):
    return [(each.code, each.cluster) for each in target.findings]


def test_the_overlay_of_a_cluster_is_built_with_its_components():
    inputs = of(plan(), "prod-1").inputs

    assert (inputs.engine, inputs.root) == ("kustomize", "apps/web/overlays/prod")
    assert inputs.layers == ("apps/web/components/eu",)
    assert inputs.reads == (
        "apps/web/base",
        "apps/web/components/eu",
        "apps/web/overlays/prod",
        "common",
    )


def test_clusters_with_equal_layers_share_their_inputs():
    clusters = "clusters:\n" + "".join(f"- {{name: c{each}, labels: {{env: dev}}}}\n" for each in range(100))
    planned = plan({"clusters/all.yaml": clusters})

    assert len({id(target.inputs) for target in planned.targets if target.app == "web"}) == 1


def test_a_key_changes_with_what_is_read_and_with_nothing_else():
    before = of(plan(), "prod-1").inputs.key

    assert of(plan({"apps/other/a.yaml": "a: b", "apps/web/overlays/dev/x.yaml": ""}), "prod-1").inputs.key == before
    assert of(plan({"common/b.yaml": "a: b"}), "prod-1").inputs.key != before
    assert of(plan(), "prod-2").inputs.key != before


def test_two_overlays_are_refused_for_the_clusters_that_have_both():
    planned = plan({"apps/web/components/eu/kustomization.yaml": "resources: []\n"})

    assert codes(of(planned, "prod-1")) == [("fleet.two-overlays", "prod-1")]
    assert str(of(planned, "prod-1").findings[0]).startswith("apps/web/app.yaml:1:28:")
    assert of(planned, "prod-2").inputs


def test_a_cluster_without_any_kustomization_fails_alone():
    planned = plan({"apps/web/overlays/dev/kustomization.yaml": None})

    assert codes(of(planned, "dev-1")) == [("render.no-kustomization", "dev-1")]
    assert of(planned, "prod-1").inputs


def test_a_layer_that_no_cluster_has_is_a_warning():
    planned = plan({"apps/web/app.yaml": 'layers:\n- "overlays/{env}"\n- "flavours/{flavour}"\n'})

    assert [(str(each).partition(": ")[0], each.code, each.severity) for each in planned.findings] == [
        ("apps/web/app.yaml:3:3", "fleet.unused-layer", "warning")
    ]


def test_plain_files_come_without_app_file_and_the_layers_of_others():
    changes = {
        "apps/raw/app.yaml": 'layers: ["env/{env}"]\n',
        "apps/raw/a.yaml": "a: b",
        "apps/raw/env/dev/a.yaml": "a: c",
        "apps/raw/env/prod.txt": "",
        "apps/raw/.hidden/b.yaml": "",
    }
    planned = plan(changes)

    assert of(planned, "dev-1", "raw").inputs.files == (("apps/raw/a.yaml",), ("apps/raw/env/dev/a.yaml",))
    assert of(planned, "prod-1", "raw").inputs.files == (("apps/raw/a.yaml",),)


def test_templates_see_their_cluster_and_plain_apps_do_not_depend_on_it():
    changes = {"apps/raw/app.yaml": "plain: {template: jinja}\n", "apps/raw/a.yaml": "a: b"}
    inputs = of(plan(changes), "prod-2", "raw").inputs

    assert inputs.values == '{"cluster":{"labels":{"env":"prod","region":"us"},"name":"prod-2","values":{"size":3}}}'
    assert of(plan({"apps/raw/a.yaml": "a: b"}), "prod-2", "raw").inputs.values == ""


def test_a_chart_reads_its_folder_and_the_files_of_values():
    changes = {
        "apps/api/app.yaml": 'helm: {chart: ../../charts/api}\nlayers: [values.yaml, "values/{env}.yaml"]\n',
        "charts/api/Chart.yaml": "name: api\n",
        "apps/api/values.yaml": "",
        "apps/api/values/prod.yaml": "",
    }
    planned = plan(changes)

    assert of(planned, "prod-1", "api").inputs.reads == (
        "apps/api/values/prod.yaml",
        "apps/api/values.yaml",
        "charts/api",
    )
    assert of(planned, "prod-1", "api").inputs.root == "charts/api"
    assert codes(of(plan({**changes, "charts/api/Chart.yaml": None}), "dev-1", "api")) == [("render.no-chart", "dev-1")]


def test_targets_choose_clusters_by_labels():
    planned = plan({"apps/raw/app.yaml": "targets: [{env: dev}, {region: [us]}]\n", "apps/raw/a.yaml": ""})

    assert [each.cluster for each in planned.targets if each.app == "raw"] == ["dev-1", "prod-2"]


def test_git_wins_over_the_hub_and_an_old_word_of_git_counts_no_more():
    known = Registered(
        cluster="dev-1",
        labels={"env": "prod", "old": "x", "flavour": "blue"},
        origins={"env": "hub", "old": "git", "flavour": "claim"},
        **JOINED,
    )
    stranger = Registered(cluster="new-1", labels={"env": "dev"}, origins={"env": "hub"}, **JOINED)
    planned = plan(registered=[known, stranger])
    labels = {cluster.name: cluster.labels for cluster in planned.clusters}

    assert labels["dev-1"] == {"env": "dev", "region": "eu", "flavour": "blue"}
    assert of(planned, "new-1").inputs.root == "apps/web/overlays/dev"


def test_clusters_declared_twice_have_no_targets():
    planned = plan({"clusters/other.yaml": "clusters:\n- {name: dev-1}\n"}, [Registered(cluster="dev-1", **JOINED)])

    assert "dev-1" not in {target.cluster for target in planned.targets}
    assert listing_of(planned, {each.inputs.key: Outcome() for each in planned.targets}).fleet.unreadable_clusters


class Outcome:
    bundle = None
    findings = (Finding("render.kustomize", "is wrong", "a.yaml", 3),)


def test_an_outcome_that_many_share_names_each_target():
    planned = plan()
    listing = listing_of(planned, {each.inputs.key: Outcome() for each in planned.targets if each.inputs})

    assert {(each.cluster, each.problems[0].cluster, each.problems[0].line) for each in listing.targets} == {
        (name, name, 3) for name in ("dev-1", "prod-1", "prod-2")
    }


ELSEWHERE = {"apps/far/app.yaml": "source: {repo: 'https://x/y.git', ref: main, path: deploy}\n"}
FAR = ("https://x/y.git", "main")


def test_another_repository_is_asked_for_until_it_is_here():
    planned = plan(ELSEWHERE)

    assert [(each.repository, each.ref) for each in planned.needs] == [FAR]
    assert not planned.complete
    assert "far" not in {target.app for target in planned.targets}


def test_an_app_of_another_repository_is_made_of_its_files():
    tree = MappingTree({"deploy/a.yaml": "a: b", "deploy/app.yaml": "a: c"})
    planned = plan(ELSEWHERE, repositories={FAR: Repository(tree, provenance=1)})
    target = of(planned, "dev-1", "far")

    assert target.inputs.files == (("deploy/a.yaml", "deploy/app.yaml"),)
    assert (target.provenance, planned.complete) == ((0, 1), True)


def test_a_repository_that_cannot_be_had_fails_its_app_alone():
    lost = Repository(finding=Finding("source.auth", "the password is wrong"))
    planned = plan(ELSEWHERE, repositories={FAR: lost})

    assert codes(of(planned, "dev-1", "far")) == [("source.auth", "dev-1")]
    assert of(planned, "dev-1").inputs
    assert planned.complete


def test_nothing_is_planned_when_the_fleet_file_cannot_be_read():
    planned = plan({"fleet.yaml": "version: [\n"})

    assert (planned.targets, planned.complete) == ((), False)


def test_without_fleet_files_the_source_is_one_app_on_every_cluster():
    tree = MappingTree({"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "a: b"})
    planned = plan_of(read_fleet(tree, "podinfo"), tree, [Cluster("one"), Cluster("two")], {})

    assert [(each.cluster, each.app, each.inputs.engine, each.inputs.reads) for each in planned.targets] == [
        ("one", "podinfo", "kustomize", ("",)),
        ("two", "podinfo", "kustomize", ("",)),
    ]


STAGES = "version: 1\nrollouts: {slow: {stages: [{name: dev, match: {env: dev}}]}}\ndefaults: {rollout: slow}\n"


def test_a_cluster_that_no_stage_takes_fails_there_and_the_others_go_on():
    planned = plan({"fleet.yaml": STAGES})
    found = [finding for each in planned.targets for finding in each.findings]

    assert of(planned, "dev-1").inputs
    assert of(planned, "prod-1").inputs is None
    assert [(each.code, each.file, each.line, each.cluster) for each in found] == [
        ("fleet.cluster-without-stage", "clusters/all.yaml", 3, "prod-1"),
        ("fleet.cluster-without-stage", "clusters/all.yaml", 4, "prod-2"),
    ]


def test_stages_of_the_apps_own_count_and_a_rollout_of_the_fleet_source_does_not():
    own = plan({"apps/web/app.yaml": "rollout: {stages: [{name: eu, match: {region: eu}}]}\n"})
    foreign = plan({"apps/web/app.yaml": "rollout: elsewhere\n"}, source="team")

    assert [each.cluster for each in own.targets if each.findings] == ["prod-2"]
    assert [each.findings for each in foreign.targets] == [(), (), ()]


def test_a_dependency_that_is_not_there_is_noted():
    found = fleet_findings(plan({"apps/raw/app.yaml": "sync: {dependsOn: [nothing]}\n", "apps/raw/a.yaml": ""}))

    assert [(each.code, each.app, each.severity) for each in found] == [("fleet.dependency", "raw", "warning")]


def test_clusters_share_a_render_when_the_variables_that_files_name_are_equal():
    """Labels, nested values, the cluster's name and the app's own words are variables, the later before the earlier."""
    clusters = (
        "clusters:\n- {name: a, labels: {topology/zone: eu, env: dev, x: '1'}}\n"
        "- {name: b, labels: {topology/zone: eu, env: prod}, values: {x: {size: 2}}}\n- {name: c, values: {topology: {zone: us}}}\n"
    )
    files = {
        "clusters/all.yaml": clusters,
        "apps/web/app.yaml": "plain: {}\nsubstitute: {vars: {own: word}}\n",
        "apps/web/a.yaml": "a: ${topology_zone} ${own} $${x_size}",
    }
    planned = plan({**dict.fromkeys(FLEET), "fleet.yaml": "version: 1\n", **files})
    found = {name: of(planned, name).inputs.substitute for name in "abc"}

    assert found == {
        "a": '{"open":false,"strict":false,"vars":{"own":"word","topology_zone":"eu"}}',
        "b": '{"open":false,"strict":false,"vars":{"own":"word","topology_zone":"eu","x_size":"2"}}',
        "c": '{"open":false,"strict":false,"vars":{"own":"word","topology_zone":"us"}}',
    }
    named = plan({**dict.fromkeys(FLEET), "fleet.yaml": "version: 1\n", **files, "apps/web/a.yaml": "a: ${own}"})
    assert of(named, "a").inputs is of(named, "b").inputs
    chart = {"apps/web/a.yaml": None, "apps/web/Chart.yaml": "name: web", "apps/web/app.yaml": "substitute: {}\n"}
    assert '"cluster_name":"a"' in of(plan({**files, **chart}), "a").inputs.substitute
