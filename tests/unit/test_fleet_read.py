"""The fleet format: every finding at once, with its place; what is wrong stays alone."""

import pytest

from services.renderer.listing import app_part, fleet_part
from shared.fleet.read import read_app_folder, read_fleet
from shared.messages.renders import ProjectPart, WindowPart
from tests.support.mapping_tree import MappingTree

FLEET = {
    "fleet.yaml": """version: 1
sources:
  platform: {url: https://git.example.org/platform.git, ref: v1.x}
rollouts:
  standard:
    stages:
      - {name: dev, match: {env: dev}, soak: 10m}
      - {name: prod, match: {env: [staging, prod]}, batch: 25%, maxFailures: 1, approval: manual}
defaults: {rollout: standard}
claims: {accept: [region], approve: [env]}
""",
    "clusters/prod.yaml": """labels: {env: prod}
clusters:
  - {name: eu-1, labels: {region: eu}}
  - {name: us-1, labels: {region: us, env: dev}, values: {ingressClass: alb}}
""",
    "apps/web/app.yaml": 'namespace: web\nlayers: ["overlays/{env}"]\nsync: {interval: 10m, retry: {first: 5s}}\n',
    "apps/api/app.yaml": "helm: {chart: ./chart}\nsource: platform\nrollout: standard\n",
    "apps/raw/a.yaml": "a: b\n",
}


def read(changes=(), source="fleet"):
    return read_fleet(MappingTree({**FLEET, **dict(changes)}), source)


def findings(fleet):
    return [(place(each), each.code) for each in fleet.findings]


def place(finding):
    return f"{finding.file}:{finding.line}:{finding.column}"


def test_a_fleet_is_read_whole():
    fleet = read()

    assert fleet.findings == ()
    assert (fleet.readable, fleet.whole, fleet.governs) == (True, True, True)
    assert [app.name for app in fleet.apps] == ["api", "raw", "web"]
    assert {cluster.name: cluster.labels for cluster in fleet.clusters} == {
        "eu-1": {"env": "prod", "region": "eu"},
        "us-1": {"env": "dev", "region": "us"},
    }
    assert fleet.apps[0].elsewhere.ref == "v1.x"


FENCES = """version: 1
sources:
  platform: {url: https://git.example.org/platform.git, verify: {mode: head, signers: [ops]}}
projects:
  shop: {sources: [fleet], namespaces: [shop, "shop-*"], clusters: {env: [prod]}, runAs: shop-deployer}
windows:
  office: {allow: "Mon-Fri 09:00-16:00", timezone: Europe/Berlin}
"""


def test_fences_are_read():
    apps = {"apps/api/app.yaml": "project: shop\n", "apps/raw/app.yaml": "sync: {windows: office, runAs: raw}\n"}
    fleet = read_fleet(MappingTree({"fleet.yaml": FENCES, **apps}), "fleet")

    assert fleet.findings == ()
    assert [app.name for app in fleet.apps] == ["api", "raw"]
    assert fleet.governs


SHOP = ProjectPart(
    namespaces=("shop", "shop-*"), run_as="shop-deployer", sources=("fleet",), clusters={"env": ("prod",)}
)


def test_projects_reach_the_releaser_with_their_apps():
    """O4: for it signs what an agent holds an app to."""
    fleet = read_fleet(MappingTree({"fleet.yaml": FENCES, APP: "project: shop\n"}), "fleet")

    assert fleet_part(fleet).projects == {"shop": SHOP}
    assert app_part(fleet.apps[0]).project == "shop"


def test_an_app_acts_as_its_project_does():
    """O1: an account of its own choice would lead around the project's."""
    tree = {"fleet.yaml": FENCES, APP: "project: shop\nsync: {runAs: kube-system/admin}\n"}
    fleet = read_fleet(MappingTree(tree), "fleet")

    assert [(place(each), each.code) for each in fleet.errors] == [(f"{APP}:2:8", "fleet.fenced")]


def test_an_unknown_project_is_a_mistake():
    fleet = read_fleet(MappingTree({"fleet.yaml": FENCES, APP: "project: shed\n"}), "fleet")

    assert [(place(each), each.code) for each in fleet.errors] == [(f"{APP}:1:1", "fleet.unknown-project")]


def test_rollouts_claims_and_gates_reach_the_releaser():
    part = fleet_part(read())
    dev, prod = part.rollouts["standard"].stages

    assert (part.default_rollout, part.claims_accept, part.claims_approve) == ("standard", ("region",), ("env",))
    assert dev.gates == {"soak": "10m"}
    assert (prod.match, prod.batch, prod.max_failures) == ({"env": ("staging", "prod")}, "25%", 1)
    assert prod.gates == {"approval": "manual"}


def test_options_reach_the_releaser_with_defaults_filled_in():
    options = app_part(next(app for app in read().apps if app.name == "web")).options

    assert options["namespace"] == "web"
    assert (options["interval"], options["retry"]) == ("10m", {"first": "5s", "max": "5m"})
    assert (options["prune"], options["onImmutable"], options["dependsOn"]) == (True, "fail", [])


APP = "apps/web/app.yaml"
MISTAKES = {
    "unknown key": ({APP: "namespase: web\n"}, f"{APP}:1:1", "fleet.unknown-key"),
    "unknown key inside": ({APP: "sync:\n  prun: true\n"}, f"{APP}:2:3", "fleet.unknown-key"),
    "wrong type": ({APP: "sync: {prune: 5}\n"}, f"{APP}:1:8", "fleet.bad-value"),
    "wrong choice": ({APP: "sync: {drift: maybe}\n"}, f"{APP}:1:8", "fleet.bad-value"),
    "wrong duration": ({APP: "sync: {timeout: soon}\n"}, f"{APP}:1:8", "fleet.bad-value"),
    "two engines": ({APP: "plain: {}\nhelm: {}\n"}, f"{APP}:2:1", "fleet.two-engines"),
    "unknown source": ({APP: "source: nowhere\n"}, f"{APP}:1:1", "fleet.unknown-source"),
    "unknown rollout": ({APP: "rollout: slow\n"}, f"{APP}:1:1", "fleet.unknown-rollout"),
    "invalid YAML": ({APP: "namespace: [\n"}, f"{APP}:2:1", "yaml.syntax"),
    "empty file": ({APP: "# nothing\n"}, f"{APP}:1:1", "fleet.one-document"),
    "reserved name": ({"apps/hub/a.yaml": "a: b\n"}, "apps/hub:0:0", "fleet.bad-name"),
    "label that is no text": (
        {"clusters/x.yaml": "clusters:\n- {name: c, labels: {a: true}}\n"},
        "clusters/x.yaml:2:22",
        "fleet.bad-value",
    ),
    "reserved cluster": ({"clusters/x.yaml": "clusters:\n- name: shared\n"}, "clusters/x.yaml:2:3", "fleet.bad-value"),
    "cluster without name": (
        {"clusters/x.yaml": "clusters:\n- labels: {}\n"},
        "clusters/x.yaml:2:3",
        "fleet.missing-key",
    ),
    "duplicate cluster": (
        {"clusters/x.yaml": "clusters:\n- {name: c}\n- {name: eu-1}\n"},
        "clusters/x.yaml:3:3",
        "fleet.duplicate-cluster",
    ),
    "misspelt gate": (
        {"fleet.yaml": "version: 1\nrollouts: {a: {stages: [{name: x, aproval: manual}]}}\n"},
        "fleet.yaml:2:35",
        "fleet.unknown-key",
    ),
    "unknown default": (
        {"fleet.yaml": "version: 1\nrollouts: {a: {}}\ndefaults: {rollout: b}\n"},
        "fleet.yaml:3:12",
        "fleet.unknown-rollout",
    ),
}


@pytest.mark.parametrize(("changes", "place", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_finding_with_its_place(changes, place, code):
    extra = {"fleet.yaml": "version: 1\n", "apps/api/app.yaml": "{}"} if "fleet.yaml" in changes else {}

    assert findings(read({**extra, **changes})) == [(place, code)]


def test_a_misspelt_key_says_what_was_meant():
    (finding,) = read({APP: "namespase: web\n"}).findings

    assert "'namespace'" in finding.hint
    assert finding.app == "web"


HEALTH = """sync:
  healthChecks:
    - apiVersion: cert-manager.io/v1
      kind: Certificate
      current: status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')
    - {group: "*.acme.io", kind: "*", failed: stauts.broken, current: "true"}
    - {kind: Widget}
"""


def test_a_health_check_is_checked_where_it_is_written():
    fleet = read({"apps/raw/app.yaml": HEALTH})

    assert findings(fleet) == [
        ("apps/raw/app.yaml:6:39", "fleet.bad-value"),
        ("apps/raw/app.yaml:7:7", "fleet.missing-key"),
    ]
    assert fleet.findings[0].message == (
        "sync.healthChecks.1.failed cannot be used: there is no variable 'stauts'; did you mean 'status'? "
        "(column 1, at 'stauts.broken')"
    )


def test_an_unknown_gate_is_kept_for_the_releaser_to_pause_at():
    changes = {"fleet.yaml": "version: 1\nrollouts: {a: {stages: [{name: x, moonPhase: full}]}}\n"}
    part = fleet_part(read({**changes, "apps/api/app.yaml": "{}"}))

    assert part.rollouts["a"].stages[0].gates == {"moonPhase": "full"}


def test_a_broken_app_is_alone():
    fleet = read({APP: "nothing: here\n"})

    assert fleet.unreadable_apps == ("web",)
    assert [app.name for app in fleet.apps] == ["api", "raw"]
    assert (fleet.readable, fleet.whole) == (True, True)


def test_a_cluster_that_stands_twice_is_alone():
    fleet = read({"clusters/x.yaml": "clusters:\n- {name: eu-1}\n"})

    assert fleet.unreadable_clusters == ("eu-1",)
    assert [cluster.name for cluster in fleet.clusters] == ["us-1"]
    assert fleet.whole


def test_a_file_of_clusters_that_cannot_be_read_leaves_it_open_which_are_absent():
    fleet = read({"clusters/prod.yaml": "clusters: [\n"})

    assert fleet.clusters == ()
    assert (fleet.readable, fleet.whole) == (True, False)


def test_an_unreadable_fleet_file_stops_its_source_and_hides_no_other_finding():
    fleet = read({"fleet.yaml": "version: 2\n", APP: "nothing: here\n"})

    assert not fleet.readable
    assert [each.file for each in fleet.findings] == ["fleet.yaml", APP]


def test_a_source_without_clusters_and_fences_brings_apps_only():
    fleet = read_fleet(MappingTree({"fleet.yaml": "version: 1\n", "apps/a/a.yaml": "a: b"}), "tenant")

    assert not fleet.governs
    assert [app.name for app in fleet.apps] == ["a"]


def test_a_source_without_fleet_files_is_one_app_named_like_it():
    fleet = read_fleet(MappingTree({"deploy/a.yaml": "a: b"}), "podinfo")

    assert [(app.name, app.folder, app.namespace) for app in fleet.apps] == [("podinfo", "", "default")]
    assert not fleet.governs


def test_apps_without_a_fleet_file_are_pointed_out():
    fleet = read_fleet(MappingTree({"apps/web/app.yaml": "{}", "apps/web/a.yaml": "a: b"}), "web")

    assert [(each.code, each.severity) for each in fleet.findings] == [("fleet.no-fleet-file", "warning")]


def test_a_folder_without_yaml_is_no_app():
    fleet = read({"apps/docs/README.md": "hello"})

    assert "docs" not in [app.name for app in fleet.apps]
    assert [(each.code, each.severity) for each in fleet.findings] == [("fleet.no-app", "warning")]


def test_the_folder_of_one_app_is_read_with_its_file():
    fleet = read_app_folder(MappingTree({"app.yaml": "namespace: web\n", "a.yaml": "a: b"}), "web")

    assert [(app.name, app.namespace) for app in fleet.apps] == [("web", "web")]


def test_apps_that_depend_on_each_other_stay_as_they_are_c10():
    """C10: each is named with the way back to itself; who only depends on them is read."""
    fleet = read(
        {
            "apps/web/app.yaml": "sync: {dependsOn: [api]}\n",
            "apps/api/app.yaml": "sync:\n  dependsOn:\n    - raw\n    - web\n",
            "apps/raw/app.yaml": "sync: {dependsOn: [api]}\n",
            "apps/edge/app.yaml": "sync: {dependsOn: [web]}\n",
        }
    )

    assert [app.name for app in fleet.apps] == ["edge"]
    assert sorted(fleet.unreadable_apps) == ["api", "raw", "web"]
    assert [(place(each), each.code, each.message, each.app) for each in fleet.findings] == [
        (
            "apps/api/app.yaml:2:3",
            "fleet.dependency-cycle",
            "apps depend on each other: api -> raw -> api",
            "api",
        ),
        ("apps/raw/app.yaml:1:8", "fleet.dependency-cycle", "apps depend on each other: raw -> api -> raw", "raw"),
        ("apps/web/app.yaml:1:8", "fleet.dependency-cycle", "apps depend on each other: web -> api -> web", "web"),
    ]


def test_windows_reach_the_releaser_with_their_times_q5():
    """Q5: apps say which of them they keep to."""
    fleet = read_fleet(MappingTree({"fleet.yaml": FENCES, APP: "sync: {windows: office}\n"}), "fleet")

    assert fleet_part(fleet).windows == {"office": WindowPart(allow=("Mon-Fri 09:00-16:00",), timezone="Europe/Berlin")}
    assert app_part(fleet.apps[0]).options["windows"] == ["office"]


@pytest.mark.parametrize(
    ("written", "at", "message"),
    [
        ('{allow: "Mon-Fri 9-16"}', "3:12", "windows.office.allow cannot be used: 'Mon-Fri 9-16' names no times"),
        ('{allow: ["Mon 09:00-10:00", "Mo"]}', "3:12", "'Mo' names no days"),
        ('{deny: "2026-12-24..2026-12-20"}', "3:12", "ends before it begins"),
        ('{allow: "09:00-16:00", timezone: Berlin}', "3:34", "there is no time zone 'Berlin' here"),
        ("{timezone: UTC}", "3:3", "it says neither when changes may go out (allow) nor when not (deny)"),
    ],
)
def test_a_window_that_means_nothing_is_named_with_its_place_q5(written, at, message):
    fleet = read_fleet(MappingTree({"fleet.yaml": f"version: 1\nwindows:\n  office: {written}\n"}), "fleet")
    (finding,) = fleet.findings

    assert message in finding.message
    assert (finding.code, place(finding)) == ("fleet.bad-value", f"fleet.yaml:{at}")


def test_a_window_that_nobody_declares_is_a_mistake_q5():
    apps = {
        "apps/a/app.yaml": "sync: {windows: ofice}\n",
        "apps/b/app.yaml": "rollout: {stages: [{name: all, windows: [office, late]}]}\n",
    }
    fleet = read_fleet(MappingTree({"fleet.yaml": FENCES, **apps}), "fleet")
    foreign = read_fleet(MappingTree({"fleet.yaml": "version: 1\n", **apps}), "team")

    assert [(place(each), each.message, each.hint) for each in fleet.errors] == [
        ("apps/a/app.yaml:1:8", "there is no window 'ofice'", "declared: office"),
        ("apps/b/app.yaml:1:32", "there is no window 'late'", "declared: office"),
    ]
    assert fleet.unreadable_apps == ("a", "b")
    assert foreign.errors == ()
