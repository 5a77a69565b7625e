"""Real histories on a real Kubernetes: what it still serves arrives commit by commit, what it does not fails and spares the rest.

Commit numbers count from 1, as people read a log: `podinfo-kustomize` is served from 63 on, `podinfo-deploy` from 123.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.mapper import Mapper
from services.renderer.inputs import AppInputs
from shared.core.objects import ObjectKey, key_of
from shared.errors import FindingsError
from tests.support.agents import OPTIONS
from tests.support.api_server import asking

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
MARKS = {"labels": "towline.dev/agent", "annotations": "towline.dev/owner"}
SERVED_FROM = {"podinfo-kustomize": 63, "podinfo-deploy": 123}
NEW_SELECTORS = 147
GONE = ((62, 122), (32, 117), (2, 71))
GONE_VERSIONS = {"autoscaling/v2beta1", "autoscaling/v2beta2"}
HINT = "write it for autoscaling/v1 or autoscaling/v2, which this cluster serves"
TELLING = (0, 23, 24, 35, 37)
"""Steps after the first served commits: selectors change and a database comes at 24, traffic at 35, the last is 37."""
LATER = {"first": "1h", "max": "1h"}
"""Nothing is tried again by itself: each report is about one commit."""


@dataclass(frozen=True)
class App:
    """One app that a history delivers."""

    name: str
    series: str
    root: str = ""
    plain: bool = False


APPS = (
    App("small", "podinfo-kustomize"),
    *(App(env, "podinfo-deploy", f"overlays/{env}") for env in ("dev", "staging", "production")),
    App("webapp", "podinfo-deploy", "webapp", plain=True),
)


def inputs_of(app, tree):
    """Return what an engine makes of an app at a commit; None: it does not exist there."""
    if tree.entry(app.root) is None:
        return None
    files = [f"{app.root}/{each}" for each in _files(tree, app.root)] if app.plain else []
    return AppInputs(
        app=app.name,
        engine="plain" if app.plain else "kustomize",
        namespace=app.name,
        tree=tree,
        path=app.root,
        reads=tuple(files) or ("",),
        files=(tuple(files),) if files else (),
        root=app.root,
    )


def _files(tree, folder):
    for entry in tree.folder(folder):
        if entry.kind == "folder":
            yield from (f"{entry.name}/{each}" for each in _files(tree, f"{folder}/{entry.name}"))
        elif entry.name.endswith(".yaml"):
            yield entry.name


@dataclass
class Journey:
    """Histories on their way to one cluster, and what is known of it."""

    pen: object
    server: object
    plane: object
    mapper: Mapper
    engines: object
    trees: Mapping
    options: Mapping = field(default_factory=dict)
    bundles: dict = field(default_factory=dict)
    """App → key → object as it was last released."""
    kinds: dict = field(default_factory=dict)
    """Of all that was ever delivered."""
    held: dict = field(default_factory=dict)
    """App → key → object as it was in the cluster after the last delivery."""
    strangers: dict = field(default_factory=dict)

    async def rendered(self, app, number):
        """Return an app's objects at a commit, None where it has none."""
        inputs = inputs_of(app, self.trees[app.series][number - 1])
        try:
            return inputs and {key_of(each): each for each in await self.engines.render(inputs)}
        except FindingsError:
            return None

    async def deliver(self, numbers, apps=APPS):
        """Release the apps as they are at these commits (series → number); return app → report, of those that changed."""
        fresh = []
        for app in apps:
            objects = await self.rendered(app, numbers[app.series])
            if objects and (objects, self.options) != self.bundles.get(app.name):
                options = {**OPTIONS, "retry": LATER, "namespace": app.name, **self.options}
                await self.pen.release(app.name, objects.values(), options=options, publish=False)
                self.bundles[app.name] = objects, self.options
                self.kinds |= {key[:2]: key for key in objects}
                fresh.append(app.name)
        await self.pen.publish()
        releases = self.pen.releases
        return {name: await self.pen.reported(name, generation=releases[name].generation) for name in fresh}

    async def arrive(self, numbers):
        """Deliver commits that are served: all of them is there as it should be, and nothing else was touched."""
        held, reports = self.held, await self.deliver(numbers)
        self.held = await self.owned()
        for app, report in reports.items():
            assert (report.result, report.failures, report.settled) == ("succeeded", (), True)
            await self._compare(app, held.get(app, {}), report)
        unchanged = held.keys() - reports.keys()
        assert {app: _uids(self.held[app]) for app in unchanged} == {app: _uids(held[app]) for app in unchanged}
        await self.check_strangers()

    async def _compare(self, app, before, report):
        wanted, now = self.bundles[app][0], self.held[app]
        anew = {key for key in before.keys() & now.keys() if _uid(before[key]) != _uid(now[key])}
        assert now.keys() == wanted.keys()
        assert report.counts.pruned == len(before.keys() - now.keys())
        assert anew == {key for key in before.keys() & now.keys() if _selector(before[key]) != _selector(now[key])}
        assert [key for key, each in wanted.items() if await self._differs(each, now[key])] == []

    async def owned(self):
        """Return app → key → object of all that the agent marked as its own, of the kinds that were ever delivered."""
        found = {}
        for key in self.kinds.values():
            resource = self.mapper.find(key)
            listed = await self.server.ask("GET", resource.path(), labelSelector=MARKS["labels"])
            for each in listed.body["items"]:
                metadata = each["metadata"]
                owner, _, identity = metadata["annotations"][MARKS["annotations"]].partition(":")
                known = key._replace(namespace=metadata.get("namespace", ""), name=metadata["name"])
                # What controllers make of an object has its marks, but another identity.
                if identity == str(known):
                    found.setdefault(owner, {})[known] = each
        return found

    async def _differs(self, wanted, live):
        """Tell whether the API server would change something if the very object were applied again."""
        metadata = dict(wanted["metadata"])
        for name, mark in MARKS.items():
            metadata[name] = {**(metadata.get(name) or {}), mark: live["metadata"][name][mark]}
        reply = await self.server.apply({**wanted, "metadata": metadata}, self.path(wanted), dryRun="All", force="true")
        assert reply.ok, reply
        return _content(reply.body) != _content(live)

    def path(self, wanted):
        key = key_of(wanted)
        resource = self.mapper.find(key, wanted["apiVersion"].rpartition("/")[2])
        return resource.path(key.namespace, key.name)

    async def plant(self):
        """Put objects of somebody else beside those that arrive."""
        for app in APPS:
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app.name}}
            await self.server.make("/api/v1/namespaces", space)
            path = f"/api/v1/namespaces/{app.name}/configmaps"
            body = {"metadata": {"name": "of-somebody", "labels": {"app": "podinfo"}}, "data": {"mine": "yes"}}
            self.strangers[f"{path}/of-somebody"] = await self.server.make(path, body)

    async def check_strangers(self):
        assert {path: await self.server.get(path) for path in self.strangers} == self.strangers

    def fails(self, app, report):
        """Tell that an app failed for exactly those objects whose version is gone, and how that is told."""
        gone = {str(key): each for key, each in self.bundles[app][0].items() if each["apiVersion"] in GONE_VERSIONS}
        assert report.result == ("partial" if gone else "succeeded")
        assert {each.key: (each.code, each.message, each.hint) for each in report.failures} == {
            key: ("UnknownKind", f"the cluster serves no {each['kind']} in {each['apiVersion']}", HINT)
            for key, each in gone.items()
        }

    def deletes(self):
        """Return what the agent asked to be deleted."""
        return [each["objectRef"] for each in self.plane.asked(AGENT) if each["verb"] == "delete"]


def _selector(live):
    return live["spec"]["selector"] if "template" in live.get("spec", {}) else None


def _spec(live):
    return live["metadata"]["uid"], live["metadata"].get("generation"), live["spec"]


def _specs(held):
    kinds = {"Deployment", "Service"}
    return {app: {key: _spec(each) for key, each in known.items() if key.kind in kinds} for app, known in held.items()}


def _uid(live):
    return live["metadata"]["uid"]


def _uids(objects):
    return {key: _uid(each) for key, each in objects.items()}


def _content(live):
    """Return what people write in an object: not what servers, controllers and autoscalers do."""
    metadata, spec = live["metadata"], live.get("spec")
    kept = {name: part for name, part in live.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    notes = {name: text for name, text in (metadata.get("annotations") or {}).items() if "kubernetes.io/" not in name}
    return {
        **kept,
        "spec": spec and {name: part for name, part in spec.items() if name != "replicas"},
        "labels": metadata.get("labels"),
        "annotations": notes,
    }


@pytest.fixture
async def journey(own_agent, control_plane, engines, trees_of, replay):
    async with asking(FixedCredentials(control_plane.access)) as server:
        mapper = Mapper(server.session)
        await mapper.refresh()
        trees = {series: list(trees_of(replay(series))) for series in SERVED_FROM}
        made = Journey(own_agent, server, control_plane, mapper, engines, trees)
        await made.plant()
        yield made


def from_there(step):
    """Return the commits so many steps after the first that are served."""
    return {series: number + step for series, number in SERVED_FROM.items()}


async def travel(journey, steps):
    journey.options = {"onImmutable": "recreate"}
    for step in steps:
        await journey.arrive(from_there(step))
    deployments = {each["name"] for each in journey.deletes() if each["resource"] == "deployments"}

    assert journey.held.keys() == {app.name for app in APPS}
    assert deployments == {"backend", "cache", "frontend"}


async def test_telling_commits_that_are_served_arrive_and_nothing_else_changes(journey):
    """H2, F1: of all objects those are made anew whose selectors change, and those go that left."""
    await travel(journey, TELLING)


@pytest.mark.long
async def test_every_commit_that_is_served_arrives_and_nothing_else_changes(journey):
    steps = {len(trees) - SERVED_FROM[series] + 1 for series, trees in journey.trees.items()}
    await travel(journey, range(max(steps)))


async def fall_back(journey, commits):
    """Deliver commits whose versions are gone, on top of the first that are served."""
    await journey.arrive(from_there(0))
    held = {app: _uids(objects) for app, objects in journey.held.items()}
    scaled = _autoscalers(journey.held)
    for numbers in commits:
        for app, report in (await journey.deliver(numbers)).items():
            journey.fails(app, report)
        now = await journey.owned()
        assert {app: _uids(objects) for app, objects in now.items()} == held
        assert _autoscalers(now) == scaled
    assert journey.deletes() == []


def _autoscalers(held):
    return {key: _spec(each) for known in held.values() for key, each in known.items() if key.kind.startswith("Horiz")}


async def test_a_commit_whose_versions_are_gone_fails_and_deletes_nothing(journey):
    """E7, F2: the report says which version, and which the cluster serves instead."""
    await fall_back(journey, [{"podinfo-kustomize": small, "podinfo-deploy": deploy} for small, deploy in GONE])


@pytest.mark.long
async def test_every_commit_whose_versions_are_gone_fails_and_deletes_nothing(journey):
    smalls, deploys = range(2, SERVED_FROM["podinfo-kustomize"]), range(2, SERVED_FROM["podinfo-deploy"])
    both = itertools.zip_longest(smalls, deploys, fillvalue=smalls[-1])
    await fall_back(journey, [{"podinfo-kustomize": small, "podinfo-deploy": deploy} for small, deploy in both])


async def test_new_selectors_are_refused_unless_objects_may_be_made_anew(journey):
    """E7, H1, H3: refused before the first write, so Services keep their selectors, too; allowed, objects are made anew."""
    before, change = from_there(0), dict(SERVED_FROM, **{"podinfo-deploy": NEW_SELECTORS})
    before["podinfo-deploy"] = NEW_SELECTORS - 1
    await journey.arrive(before)
    held = journey.held
    refused = await journey.deliver(change)
    untouched = await journey.owned()
    journey.options = {"onImmutable": "recreate"}
    await journey.arrive(change)

    assert refused.keys() == {"dev", "staging", "production"}
    assert _specs(untouched) == _specs(held)
    for app, report in refused.items():
        assert (report.result, report.reason) == ("refused", "release.immutable")
        names = [ObjectKey("apps", "Deployment", app, name) for name in ("backend", "cache", "frontend")]
        assert [(each.key, each.code) for each in report.failures] == [(str(name), "Immutable") for name in names]
        assert all("spec.selector" in each.message and "recreate" in each.hint for each in report.failures)
        assert not {_uid(journey.held[app][name]) for name in names} & {_uid(held[app][name]) for name in names}
