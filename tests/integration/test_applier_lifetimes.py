"""Whatever happens to a cluster and its agent: every write was allowed, others' objects stay, and all ends well.

The parts are the real ones from the run down to the single request; the witness in `tests/support/lifetimes.py` judges
each request when it comes.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kubesim.answers import RefusedError
from shared.core.objects import key_of
from tests.support.agents import config_map
from tests.support.direct import simulated_time
from tests.support.lifetimes import KEEPS, World

FINALIZER = "example.org/hold"
APPS = ("web", "api")


def marked(manifest, owner, agent):
    metadata = manifest["metadata"]
    labels, notes = {"towline.dev/agent": agent}, {"towline.dev/owner": owner}
    return {**manifest, "metadata": {**metadata, "labels": labels, "annotations": notes}}


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def nightly(name):
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": pods}}}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def kept(manifest):
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {KEEPS: "disabled"}}}


POOL = {
    **{f"o{number}": config_map(f"o{number}", "shop") for number in range(4)},
    "kept": kept(config_map("kept", "shop")),
    "far": config_map("far", "extra"),
    "v": claim("v"),
    "n": nightly("n"),
    "extra": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "extra"}},
}
STRANGERS = {
    "nobody's": config_map("stranger", "shop"),
    "of another agent": marked(config_map("alike", "shop"), "web:/ConfigMap:shop/alike", "c2"),
    "a copy by a controller": marked(config_map("copy", "shop"), "web:/ConfigMap:shop/o0", "c1"),
    "elsewhere": marked(config_map("o1", "default"), "web:/ConfigMap:shop/o1", "c1"),
    "Helm's": {
        **config_map("o3", "shop"),
        "metadata": {
            "name": "o3",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "shop"},
        },
    },
    "wanted, and of another agent": marked(config_map("o2", "shop"), "web:/ConfigMap:shop/o2", "c2"),
}
REFUSALS = (
    RefusedError(429, "Too many requests, please try again later.", headers={"Retry-After": "1"}, plain=True),
    RefusedError(429, "storage is (re)initializing", headers={"Retry-After": "1"}),
    RefusedError(500, "failed calling webhook", reason="InternalError"),
    RefusedError(503, "service unavailable", plain=True),
    RefusedError(403, 'configmaps "x" is forbidden: exceeded quota'),
    RefusedError(422, 'ConfigMap "x" is invalid: data: Invalid value'),
)
names = st.sampled_from(sorted(POOL))
meddling = st.tuples(st.sampled_from(["edit", "delete", "replace", "unmark", "hold", "let go"]), names)
fates = st.one_of(st.sampled_from(["lost", "unanswered", "killed", "killed before", *REFUSALS]), meddling)
contents = st.dictionaries(names, st.tuples(st.sampled_from(APPS), st.sampled_from("12")), max_size=len(POOL))
happenings = st.one_of(
    st.tuples(st.just("release"), contents),
    st.tuples(st.just("release"), contents),
    st.tuples(st.just("remove"), st.sampled_from(APPS)),
    st.tuples(st.just("approve"), st.sampled_from(APPS)),
    st.tuples(st.just("meddle"), meddling),
    st.tuples(st.just("lose"), st.sampled_from(APPS)),
    st.tuples(st.just("hide"), st.sampled_from(["hidden", "stale", ""])),
    st.tuples(st.just("restart"), st.none()),
)
stories = st.lists(
    st.tuples(happenings, st.dictionaries(st.integers(0, 40), fates, max_size=4)), min_size=1, max_size=6
)


class Story:
    """One cluster through what happens to it."""

    def __init__(self, strangers):
        self.world = World()
        for name in ("shop", "extra"):
            self.world.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for each in strangers:
            self.world.put_stranger(STRANGERS[each])

    async def happens(self, what, which):
        world = self.world
        match what:
            case "release":
                for app in APPS:
                    self.release(app, {name: text for name, (owner, text) in which.items() if owner == app})
            case "remove" if world.wanted.get(which):
                world.release(which, [], removed=True)
            case "approve" if which in world.holds:
                world.approve(which)
            case "meddle":
                self.meddle(*which)
            case "lose":
                world.lose_inventory(which)
            case "hide":
                world.state.hidden_groups = frozenset({"batch"} if which == "hidden" else ())
                world.state.stale_groups = frozenset({"batch"} if which == "stale" else ())
            case "restart":
                await world.kill()
        if world.life is None:
            world.start()

    def release(self, app, chosen):
        manifests = []
        for name, text in chosen.items():
            body = POOL[name]
            manifests.append({**body, "data": {"a": text}} if "data" in body else body)
        if manifests or app in self.world.releases:
            self.world.release(app, manifests)

    def meddle(self, how, name):
        """Let a person or another tool do something to an object, unless it is a stranger's."""
        body, store = POOL[name], self.world.store
        key = key_of(body)
        live = self.world.live(key)
        if live is None or key in self.world.strangers:
            return
        going = live["metadata"].get("deletionTimestamp")
        marks = {"labels": {"towline.dev/agent": None}, "annotations": {"towline.dev/owner": None}}
        match how:
            case "edit" if "data" in body:
                store.patch(body, {"data": {"a": "theirs"}}, manager="kubectl-edit")
            case "delete" | "replace" if key.kind != "Namespace" and not going:
                store.delete(body["apiVersion"], key.kind, key.namespace, key.name)
                if how == "replace" and self.world.live(key) is None:
                    store.create(body)
            case "unmark":
                store.patch(body, {"metadata": marks})
            case "hold" if key.kind != "Namespace" and not going:
                store.patch(body, {"metadata": {"finalizers": [FINALIZER]}})
            case "let go" if going and key.kind != "Namespace":
                store.let_go(body, FINALIZER)

    def fate(self, fate):
        return (lambda: self.meddle(*fate)) if isinstance(fate, tuple) else fate

    async def ends(self):
        """Let everything calm down, and a person approve whatever waits."""
        world = self.world
        await world.kill()
        world.state.hidden_groups = world.state.stale_groups = frozenset()
        world.fates = {}
        for app in world.releases:
            world.again(app)
        world.start()
        for _ in range(12):
            await world.passes(20.0)
            for name in POOL:
                self.meddle("let go", name)
            for app in list(world.holds):
                world.approve(app)
            if not world.unfinished():
                break
        await world.kill()

    def check(self):
        world = self.world
        assert not world.wrongs
        for key, before in world.strangers.items():
            assert world.live(key) == before
        for app, wanted in world.wanted.items():
            for key, manifest in wanted.items():
                if key not in world.strangers:
                    live = world.live(key)
                    assert live, (app, key)
                    assert live.get("data") == manifest.get("data")
                    assert world.owner(live) == f"{app}:{key}"
        everything = {key for wanted in world.wanted.values() for key in wanted}
        for key in {key_of(body) for body in POOL.values()} - everything - world.strangers.keys():
            live = world.live(key)
            app = world.owner(live).partition(":")[0] if live else ""
            # Of an app that is to be removed nobody looks for what no inventory knows.
            if app and not (world.releases[app].removed and app in world.lost):
                assert world.inventory(app).get(key) == live["metadata"]["uid"], f"{key} was forgotten"
                # While something of an app is a stranger's, nothing of it is deleted (F2).
                assert key.kind == "Namespace" or world.wanted[app].keys() & world.strangers, f"{key} was left"


def lived(strangers, story):
    """Return the story after all of it happened."""

    async def live():
        told = Story(strangers)
        for happening, trouble in story:
            told.world.fates = {number: told.fate(fate) for number, fate in trouble.items()}
            await told.happens(*happening)
            await told.world.passes(12.0)
        await told.ends()
        return told

    with simulated_time() as run:
        return run(live())


def _proves(examples):
    unhurried = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    told = given(st.frozensets(st.sampled_from(sorted(STRANGERS))), stories)

    def proved(strangers, story):
        lived(strangers, story).check()

    return unhurried(told(proved))


def test_no_story_makes_an_agent_touch_what_is_not_its_own():
    """A04, I6, F1, F2, F4: stories in which agents die, servers fail, and others meddle."""
    _proves(40)()


@pytest.mark.slow
def test_two_thousand_stories_make_no_agent_touch_what_is_not_its_own():
    """A04, I6, F1, F2, F4: the same, at length."""
    _proves(2000)()
