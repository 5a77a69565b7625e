import asyncio

import pytest

from services.applier.health.rules import check_of
from services.applier.healths import Healths
from services.applier.kube.mapper import Resource
from services.applier.kube.reflector import Lost, Seen
from services.applier.observe import Observer
from services.applier.state import Entry, Header, Inventory
from services.applier.wellness import Patience, waited, wellness
from shared.core.objects import key_of
from shared.core.status import Health

CLUSTER, APP, LIMIT_S = "eu-1", "web", 300.0
KINDS = {
    "Widget": Resource("acme.io", "v1", "Widget", "widgets", namespaced=True, reports=True),
    "Note": Resource("acme.io", "v1", "Note", "notes", namespaced=True),
    "Pod": Resource("", "v1", "Pod", "pods", namespaced=True),
    "Job": Resource("batch", "v1", "Job", "jobs", namespaced=True),
}


class Cluster:
    """An observer, its clock, and objects that it is told of."""

    def __init__(self):
        self.now = 1000.0
        self.observer = Observer(None, CLUSTER, lambda _: None)
        self.observer._healths = Healths(lambda: self.now)
        for resource in KINDS.values():
            self.observer._followed[resource.group, resource.kind] = resource
            self.observer._listed[resource.group, resource.kind] = asyncio.Event()
            self.observer._listed[resource.group, resource.kind].set()
        self.entries = {}
        self.version = 0

    def manifest(self, kind, name, status=None, *, uid="", generation=1, spec=None, notes=None):
        self.version += 1
        resource = KINDS[kind]
        key = f"{resource.group}/{kind}:shop/{name}"
        return {
            "apiVersion": resource.api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": uid or f"uid-{name}",
                "resourceVersion": str(self.version),
                "generation": generation,
                "labels": {"towline.dev/agent": CLUSTER},
                "annotations": {"towline.dev/owner": f"{APP}:{key}", **(notes or {})},
            },
            "spec": spec or {},
            **({} if status is None else {"status": status}),
        }

    def see(self, kind, name, status=None, **more):
        """Tell of an object as the watch does, and keep it in the app's inventory."""
        manifest = self.manifest(kind, name, status, **more)
        key = key_of(manifest)
        self.entries.setdefault(key, Entry(key, "v1", uid=f"uid-{name}", desired="d"))
        self.observer._take(Seen(key, manifest))
        return key

    def patience(self, since=1000.0, **more):
        return Patience(self.now, since, LIMIT_S, **more)

    def health(self, **more):
        found = wellness(Inventory(Header(APP), self.entries), self.observer, self.patience(**more))
        return (found.health, found.reason)

    def waited(self, *keys, **more):
        return waited(keys or self.entries, self.observer, self.patience(**more))


@pytest.fixture
def cluster():
    return Cluster()


READY, BUSY = ({"conditions": [{"type": "Ready", "status": status, "reason": "R"}]} for status in ("True", "False"))
BROKEN = {"conditions": [{"type": "Stalled", "status": "True", "reason": "Broken"}]}
PULLING = {
    "phase": "Pending",
    "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}}],
}


def test_an_object_that_was_made_anew_by_others_does_not_count_rule_j3(cluster):
    cluster.see("Widget", "a", READY)
    assert cluster.health() == (Health.CURRENT, "")

    cluster.see("Widget", "a", READY, uid="another")

    assert cluster.health() == (Health.IN_PROGRESS, "Replaced")


def test_what_was_known_before_our_own_write_does_not_count_rule_j3(cluster):
    """J3: the answer to a write may be faster than the watch that tells how the new generation does."""
    key = cluster.see("Widget", "a", READY)
    cluster.observer.wrote(key, cluster.manifest("Widget", "a", generation=2))

    assert cluster.health() == (Health.IN_PROGRESS, "LatestGenerationNotObserved")

    cluster.see("Widget", "a", READY, generation=2)

    assert cluster.health() == (Health.CURRENT, "")


def test_a_write_that_changed_nothing_leaves_an_object_well(cluster):
    key = cluster.see("Widget", "a", READY)
    cluster.observer.wrote(key, cluster.manifest("Widget", "a"))

    assert cluster.health() == (Health.CURRENT, "")


def test_an_object_has_the_time_it_asks_for_rule_j4(cluster):
    cluster.see("Widget", "a", BUSY, notes={"towline.dev/health-timeout": "10m"})
    cluster.now += 400

    assert cluster.health() == (Health.IN_PROGRESS, "R")

    cluster.now += 300

    assert cluster.health() == (Health.FAILED, "HealthTimeout")
    assert cluster.waited()[0]


def test_time_counts_from_when_an_object_stopped_doing_well_rule_j4(cluster):
    """J4: a workload that is scaled an hour after its release has its time to get there."""
    cluster.see("Widget", "a", READY)
    cluster.now += 3600
    cluster.see("Widget", "a", BUSY)

    assert cluster.health() == (Health.IN_PROGRESS, "R")

    cluster.now += LIMIT_S + 1

    assert cluster.health() == (Health.FAILED, "HealthTimeout")


def test_waiting_ends_when_all_are_well_rule_j5(cluster):
    cluster.see("Widget", "a", READY)
    key = cluster.see("Widget", "b", BUSY)

    assert cluster.waited() == (False, str(key))

    cluster.see("Widget", "b", READY)

    assert cluster.waited() == (True, "")


def test_waiting_ends_when_one_has_failed_and_none_is_on_its_way_rule_j5(cluster):
    failed = cluster.see("Widget", "a", BROKEN)
    cluster.see("Widget", "b", BUSY)

    assert cluster.waited() == (False, str(failed))
    assert cluster.health() == (Health.IN_PROGRESS, "Broken")

    cluster.see("Widget", "b", READY)

    assert cluster.waited() == (True, str(failed))
    assert cluster.health() == (Health.FAILED, "Broken")


def test_waiting_ends_at_the_first_failure_when_that_is_asked_for_rule_j5(cluster):
    failed = cluster.see("Widget", "a", BROKEN)
    cluster.see("Widget", "b", BUSY)

    assert cluster.waited(fail_fast=True) == (True, str(failed))
    assert cluster.health(fail_fast=True) == (Health.FAILED, "Broken")


def test_a_failure_that_may_pass_is_told_at_once_and_counts_when_the_time_is_up_rule_j1(cluster):
    cluster.see("Pod", "a", PULLING)

    assert cluster.health() == (Health.IN_PROGRESS, "ErrImagePull")
    assert not cluster.waited()[0]

    assert cluster.health(fail_fast=True) == (Health.FAILED, "ErrImagePull")

    cluster.now += LIMIT_S + 1

    assert cluster.health() == (Health.FAILED, "ErrImagePull")


def test_what_breaks_after_its_release_has_failed_at_once_rule_j8(cluster):
    cluster.see("Widget", "a", READY)
    cluster.now += 3600
    cluster.see("Pod", "a", PULLING)

    assert cluster.health() == (Health.FAILED, "ErrImagePull")


def test_a_kind_that_will_say_something_is_given_a_moment_rule_j1(cluster):
    cluster.see("Widget", "a")
    cluster.see("Note", "b")

    assert cluster.health() == (Health.IN_PROGRESS, "NoStatus")

    cluster.now += 11

    assert cluster.health() == (Health.CURRENT, "")


DONE = {"conditions": [{"type": "Complete", "status": "True"}]}


def test_a_completed_job_that_its_time_to_live_removed_is_well_rule_j7(cluster):
    key = cluster.see("Job", "a", DONE, spec={"ttlSecondsAfterFinished": 60})
    cluster.observer._take(Lost(key, "uid-a"))

    assert cluster.health() == (Health.CURRENT, "")
    assert cluster.observer.healths.done(key) == "uid-a"


@pytest.mark.parametrize(("status", "spec"), [(DONE, {}), ({"active": 1}, {"ttlSecondsAfterFinished": 60})])
def test_a_job_that_somebody_removed_is_missing_rule_j7(cluster, status, spec):
    key = cluster.see("Job", "a", status, spec=spec)
    cluster.observer._take(Lost(key, "uid-a"))

    assert cluster.health() == (Health.NOT_FOUND, "NotFound")


@pytest.mark.parametrize("change", [{"waits": False}, {"hook": True}, {"desired": ""}])
def test_what_is_skipped_or_asks_not_to_be_waited_for_does_not_count_rule_j9(cluster, change):
    key = cluster.see("Widget", "a", BROKEN)
    cluster.entries[key] = Entry(**{"key": key, "version": "v1", "uid": "uid-a", "desired": "d", **change})

    assert cluster.health() == (Health.CURRENT, "")


def test_an_apps_own_health_checks_decide_about_its_objects_rule_j6(cluster):
    check = check_of({"group": "acme.io", "kind": "*", "failed": "status.worn", "current": "true"})
    cluster.observer.judge_by(APP, (check,))
    cluster.observer.judge_by("other", ())

    cluster.see("Widget", "a", {"worn": True, **READY})

    assert cluster.health() == (Health.FAILED, "R")
