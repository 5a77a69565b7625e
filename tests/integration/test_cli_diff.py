"""`towline diff --base` as people run it in a checkout: what a branch would change, told once for all clusters."""

import json
import subprocess

import pytest

from tests.integration.test_cli_offline import CONFIG
from tests.support.command import run, written

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2, user: bob}
"""
FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: dev-1, labels: {env: dev}}\n- {name: prod-1, labels: {env: prod}}\n"
    "- {name: prod-2, labels: {env: prod}}\n",
    "apps/web/app.yaml": 'namespace: web\nlayers: ["env/{env}.yaml"]\n',
    "apps/web/base.yaml": WORKLOAD,
    "apps/web/env/prod.yaml": WORKLOAD.replace("replicas: 1", "replicas: 3"),
    "apps/odd/odd.yaml": CONFIG,
    "apps/far/app.yaml": "source: {repo: 'https://git.example.org/y.git', ref: main}\n",
}
WHO = ["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]


def git(folder, *arguments):
    done = subprocess.run(["git", *WHO, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A fleet in a folder of a repository, committed on main and checked out on a branch."""
    home = tmp_path / "repository"
    fleet = written(home / "infra", FLEET)
    git(home, "init", "--quiet", "--initial-branch=main")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "--message=Begin")
    git(home, "switch", "--quiet", "--create=branch")
    return fleet


def changes(checkout, *options, code=1):
    found = json.loads(run("diff", checkout, "-o", "json", *options, code=code).stdout)
    return found, {(each["app"], each["object"], each["change"]): each for each in found["items"]}


def test_a_branch_that_changes_nothing_differs_in_nothing(checkout):
    done = run("diff", checkout)

    assert done.stdout == ""
    assert "nothing differs from main" in done.stderr


def test_files_that_nobody_committed_count_and_equal_changes_are_told_once(checkout):
    for name in ("base.yaml", "env/prod.yaml"):
        path = checkout / "apps/web" / name
        path.write_text(path.read_text().replace("web:1", "web:2"))
    found, items = changes(checkout)
    (deployment,) = items.values()

    assert found["base"]["commit"] == git(checkout, "rev-parse", "main")
    assert deployment["object"] == "apps/Deployment:web/web"
    # The objects differ in their replicas, the change does not.
    assert deployment["clusters"] == ["dev-1", "prod-1", "prod-2"]
    assert [line.strip() for line in deployment["lines"] if line[0] in "+-"] == [
        "-      - image: web:1",
        "+      - image: web:2",
    ]


def test_apps_come_and_go_with_their_objects(checkout):
    written(checkout, {"apps/new/new.yaml": CONFIG.replace("greeting", "new")})
    (checkout / "apps/odd/odd.yaml").unlink()
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=Change")
    _, items = changes(checkout)

    assert set(items) == {("new", "/ConfigMap:default/new", "added"), ("odd", "/ConfigMap:default/greeting", "removed")}
    assert set(changes(checkout, "--app", "odd", "--cluster", "prod-1")[1]) == {
        ("odd", "/ConfigMap:default/greeting", "removed")
    }


def test_what_came_to_the_base_since_is_no_change_of_the_branch(checkout):
    git(checkout, "switch", "--quiet", "main")
    git(checkout, "rm", "--quiet", "-r", "apps/odd")
    git(checkout, "commit", "--quiet", "--message=Remove")
    git(checkout, "switch", "--quiet", "branch")

    assert run("diff", checkout, "--base", "main").stdout == ""


def test_values_of_secrets_are_never_shown_but_that_they_change_is(checkout):
    path = checkout / "apps/web/base.yaml"
    path.write_text(path.read_text().replace("hunter2", "hunter3"))
    for form in ("table", "json", "markdown"):
        told = run("diff", checkout, "--cluster", "dev-1", "-o", form, code=1).stdout

        assert "*** (before)" in told
        assert "*** (after)" in told
        assert not any(each in told for each in ("hunter", "aHVudGVy", "bob", "Ym9i"))


def test_options_of_apps_and_of_the_fleet_are_changes_too(checkout):
    written(
        checkout,
        {
            "apps/odd/app.yaml": "sync: {prune: false}\n",
            "clusters/all.yaml": FLEET["clusters/all.yaml"].replace("env: dev", "env: test"),
        },
    )
    found, items = changes(checkout)

    assert items == {}
    assert [(each["app"], each["path"], each["before"], each["after"]) for each in found["settings"]] == [
        ("", "clusters.dev-1.labels.env", "dev", "test"),
        ("odd", "sync.prune", True, False),
    ]


def test_what_cannot_be_read_is_an_error_and_no_removal(checkout):
    written(checkout, {"apps/odd/app.yaml": "namespase: x\n", "apps/new/new.yaml": CONFIG.replace("greeting", "new")})
    found, items = changes(checkout, code=2)

    assert set(items) == {("new", "/ConfigMap:default/new", "added")}
    assert [each["code"] for each in found["errors"]] == ["fleet.unknown-key"]
    assert "apart from what is in error" in run("diff", checkout, code=2).stderr


def test_who_has_only_errors_does_not_hear_that_nothing_differs(checkout):
    written(checkout, {"apps/odd/app.yaml": "namespase: x\n"})

    assert "apart from what is in error, nothing differs" in run("diff", checkout, "-o", "markdown", code=2).stdout


def test_a_comment_for_a_pull_request_fits_and_nobody_writes_out_of_its_fences(checkout):
    many = "---\n".join(CONFIG.replace("greeting", f"c{index}").replace("hello", "x" * 3000) for index in range(40))
    evil = CONFIG.replace("greeting", "evil").replace("hello", '"```\\n````\\n</details>"')
    written(checkout, {"apps/many/a.yaml": many, "apps/evil/a.yaml": evil})
    comment = run("diff", checkout, "-o", "markdown", code=1).stdout

    assert comment.startswith("<!-- towline-diff -->\n**Towline:** 41 objects added on 3 clusters")
    assert len(comment) < 65_536
    assert comment.count("<details>") == comment.count("</details>") - 1 == 2
    assert comment.count("`````") == 2
    assert "too long to be shown" in comment


def test_who_names_no_such_base_or_no_repository_hears_it(checkout, tmp_path):
    assert "git fetch" in run("diff", checkout, "--base", "trunk", code=2).stderr
    assert "is in no git repository" in run("diff", written(tmp_path / "x", FLEET), code=2).stderr
    assert "[cli.choice]" in run("diff", "--live", "web@dev-1", "-o", "markdown", code=2).stderr


def test_two_revisions_of_a_bare_repository_are_compared(local_git):
    first = local_git.commit("fleet", {"a.yaml": CONFIG})
    local_git.commit("fleet", {"a.yaml": CONFIG.replace("hello", "later")})

    assert "later" in run("diff", local_git.path("fleet"), "--base", first, code=1).stdout
