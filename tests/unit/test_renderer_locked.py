"""Charts of chart repositories are what the lock says: which archives a fleet needs, and what becomes of its apps."""

import pytest

from services.renderer.locked import Archive
from services.renderer.targets import plan_of
from shared.errors import Finding
from shared.fleet.locks import LockedChart, lock_text, read_lock
from shared.fleet.model import Cluster
from shared.fleet.read import read_fleet
from tests.support.mapping_tree import MappingTree

REPO = "https://charts.example.org"


def locked(digit="a", asked=">=6 <7", chart="podinfo"):
    url, digest = f"{REPO}/{chart}-6.1.0.tgz", f"sha256:{digit * 64}"
    return LockedChart(repo=REPO, chart=chart, asked=asked, version="6.1.0", url=url, digest=digest)


def app(asked=">=6 <7", chart="podinfo", repo=REPO):
    return f"helm: {{repo: '{repo}', chart: {chart}, version: '{asked}'}}\n"


def plan(apps, lock, archives):
    files = {"fleet.yaml": "version: 1\n", "charts.lock": lock, "apps/plain/a.yaml": "a: b\n"}
    tree = MappingTree(files | {f"apps/{name}/app.yaml": text for name, text in apps.items()})
    return plan_of(read_fleet(tree, "fleet"), tree, [Cluster("c1")], {}, archives)


def of(planned, name):
    return next(each for each in planned.targets if each.app == name)


def test_an_archive_on_its_way_leaves_its_apps_unknown():
    planned = plan({"web": app(), "api": app(repo=f"{REPO}/")}, lock_text([locked()]), {})

    assert [each.digest for each in planned.charts] == ["a" * 64]
    assert [each.app for each in planned.targets] == ["plain"]
    assert not planned.complete


def test_an_archive_that_is_there_is_the_chart_and_part_of_the_key():
    archives = {digit * 64: Archive(lambda: b"packed") for digit in "ab"}
    first, second = (plan({"web": app()}, lock_text([locked(digit)]), archives) for digit in "ab")

    inputs = of(first, "web").inputs
    name = "podinfo-6.1.0.tgz"
    assert (inputs.root, inputs.reads, inputs.tree.read(name)) == (name, (name,), b"packed")
    assert first.complete
    assert inputs.key != of(second, "web").inputs.key


def test_an_archive_that_could_not_be_had_fails_its_apps_by_line():
    down = Archive(finding=Finding("source.unreachable", "it is down", hint="wait"))

    planned = plan({"web": app()}, lock_text([locked()]), {"a" * 64: down})

    (finding,) = of(planned, "web").findings
    assert (finding.code, finding.file, finding.line) == ("source.unreachable", "apps/web/app.yaml", 1)
    assert planned.complete


@pytest.mark.parametrize("change", [{"asked": "7.x"}, {"chart": "other"}, {"repo": "https://other.example.org"}])
def test_only_what_is_asked_for_word_for_word_counts(change):
    planned = plan({"web": app(**change)}, lock_text([locked()]), {"a" * 64: Archive(lambda: b"")})

    assert [each.code for each in of(planned, "web").findings] == ["fleet.chart-not-locked"]
    assert planned.charts == ()


@pytest.mark.parametrize("lock", ["version: 2\n", "charts: [\n", lock_text([locked()]).replace("sha256:a", "sha256:x")])
def test_a_lock_that_cannot_be_read_fails_the_apps_that_need_it_alone(lock):
    planned = plan({"web": app()}, lock, {})

    assert {each.file for each in of(planned, "web").findings} == {"charts.lock"}
    assert of(planned, "plain").findings == ()


def test_the_lock_is_the_same_in_whatever_order_and_each_chart_is_a_block():
    charts = [locked(), locked("b", chart="zoo"), locked("c", asked='~1 || "x"\\')]
    text = lock_text(charts)

    assert lock_text(reversed(charts)) == text
    assert set(read_lock(MappingTree({"charts.lock": text})).charts) == set(charts)
    assert text.count("\n- repo: ") == 3
    assert read_lock(MappingTree({"charts.lock": lock_text([])})).findings == ()
