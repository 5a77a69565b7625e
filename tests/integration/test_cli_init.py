"""`towline init` begins a fleet that works at once; `towline targets` says who gets what of it, and why not."""

import json

from shared.fleet.schemas import FILES
from tests.integration.test_cli_offline import CONFIG
from tests.support.command import run, written


def files_of(folder):
    return {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}


def test_a_fleet_that_just_began_is_clean_and_renders_for_every_cluster(tmp_path):
    made = run("init", tmp_path / "fleet").stdout.split()
    files = files_of(tmp_path / "fleet")

    assert sorted(made) == sorted(files)
    assert run("validate", tmp_path / "fleet").stdout == ""
    rendered = json.loads(run("render", tmp_path / "fleet", "-o", "json").stdout)
    assert [each["cluster"] for each in rendered["targets"]] == ["dev-1", "prod-1"]
    for name, text in files.items():
        line = text.splitlines()[0]
        if line.startswith("# yaml-language-server: $schema="):
            assert (tmp_path / "fleet" / name).parent.joinpath(line.partition("=")[2]).resolve().is_file()
    assert sum("yaml-language-server" in text for text in files.values()) == 4


def test_what_is_there_stays_as_it_is_and_only_schemas_are_written_anew(tmp_path):
    fleet = written(tmp_path, {"fleet.yaml": "version: 1 # mine\n", ".schema/app.json": "old"})
    first = run("init", fleet).stdout.split()

    assert first == [".schema/fleet.json", ".schema/clusters.json", ".schema/app.json"]
    assert (fleet / "fleet.yaml").read_text() == "version: 1 # mine\n"
    assert run("init", fleet).stdout == ""
    assert {name: run("schema", name).stdout for name in FILES} == {
        name: (fleet / ".schema" / f"{name}.json").read_text() for name in FILES
    }


def test_files_that_are_an_app_today_are_not_put_out_of_sight(tmp_path):
    app = written(tmp_path, {"a.yaml": CONFIG, ".github/x.yaml": "a: b"})

    assert "[cli.one-app]" in run("init", app, code=2).stderr
    assert not (app / "fleet.yaml").exists()


FLEET = {
    "fleet.yaml": "version: 1\nprojects: {shop: {clusters: {env: prod}}}\n",
    "clusters/all.yaml": "clusters:\n- {name: dev-1, labels: {env: dev}}\n"
    "- {name: prod-1, labels: {env: prod, region: eu}}\n- {name: prod-2, labels: {env: prod}}\n",
    "apps/all/a.yaml": CONFIG,
    "apps/all/env/prod/a.yaml": CONFIG,
    "apps/all/app.yaml": "namespace: x\nlayers: ['env/{env}', 'region/{region}']\n",
    "apps/some/a.yaml": CONFIG,
    "apps/some/app.yaml": "targets: [{env: prod, region: [eu, us]}, {env: test}]\n",
    "apps/shop/a.yaml": CONFIG,
    "apps/shop/app.yaml": "namespace: ns\nproject: shop\n",
    "apps/odd/app.yaml": "namespase: x\n",
}


def test_targets_say_who_gets_what_and_why_others_do_not(tmp_path):
    fleet = written(tmp_path, FLEET)
    items = json.loads(run("targets", fleet, "--all", "-o", "json", code=1).stdout)["items"]
    found = {(each["cluster"], each["app"]): (each["state"], each["message"]) for each in items}

    assert len(found) == 12
    assert found["prod-1", "all"] == ("yes", "no layer region/eu: it is not in the repository")
    assert found["prod-2", "all"] == ("yes", "no layer region/{region}: it has no label 'region'")
    assert found["prod-1", "some"] == ("yes", "")
    assert found["prod-2", "some"] == (
        "no",
        "it has no label 'region', wanted is 'eu' or 'us'; nor env is 'prod', wanted is 'test'",
    )
    assert found["dev-1", "shop"] == (
        "no",
        "its project 'shop' has no such clusters: env is 'dev', wanted is 'prod'",
    )
    assert found["dev-1", "odd"][0] == "failed"


def test_only_who_gets_something_is_shown_until_people_ask_for_more(tmp_path):
    fleet = written(tmp_path, FLEET)
    every = run("targets", fleet, code=1)

    assert "  no  " not in every.stdout
    assert "3 times a cluster does not get an app" in every.stderr
    assert "  no  " in run("targets", fleet, "--app", "shop", "--cluster", "dev-1", code=1).stdout
