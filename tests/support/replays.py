"""Real histories on the whole line: serve them commit by commit, render each apart from the hub, compare with clusters.

What a cluster shall hold is rendered here from the same trees by the same engines, and put on a cluster of its own; what
the line brought must be the same, object by object and field by field.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pygit2

from services.kubesim.server import SimulatedCluster
from services.renderer.engines import Engines
from services.renderer.targets import Plan, Repository, plan_of
from shared.core.objects import key_of
from shared.errors import Finding, FindingsError
from shared.fleet.model import Fleet
from shared.fleet.read import read_fleet
from shared.git.trees import GitTree, reader_of
from tests.support.git_server import Repositories
from tests.support.line import LABEL, Line, until
from tests.support.mapping_tree import MappingTree

OWNER = "towline.dev/owner"
BRANCH = "refs/heads/main"
NAMESPACES = ("small", "chart", "overlays", "flux")
ENVIRONMENTS = ("dev", "staging", "production")
# What an API server chooses for itself: two clusters never agree about it.
CHOSEN = frozenset({"clusterIP", "clusterIPs", "nodePort", "volumeName"})
KINDS = {
    "helm.toolkit.fluxcd.io": {"HelmRelease": ("v2", "v2beta1", "v2beta2")},
    "source.toolkit.fluxcd.io": {
        "HelmRepository": ("v1", "v1beta1", "v1beta2"),
        "OCIRepository": ("v1", "v1beta2"),
        "GitRepository": ("v1", "v1beta1", "v1beta2"),
    },
}


@dataclass(frozen=True)
class History:
    """A real repository's history, and the app that delivers it."""

    series: str
    app: str
    text: str
    """Its `app.yaml`."""


HISTORIES = (
    History("podinfo-kustomize", "small", "namespace: small\nsource: podinfo-kustomize\n"),
    History("podinfo-chart", "chart", "namespace: chart\nsource: podinfo-chart\nhelm: {chart: .}\n"),
    History(
        "podinfo-deploy",
        "overlays",
        'namespace: overlays\nsource: {name: podinfo-deploy, path: overlays}\nlayers: ["{env}"]\n',
    ),
    History(
        "flux2-kustomize-helm-example",
        "flux",
        "namespace: flux\nsource: {name: flux2-kustomize-helm-example, path: apps}\n"
        'layers: ["{env}"]\ntargets: [{env: [staging, production]}]\n',
    ),
)


@dataclass(frozen=True)
class Wanted:
    """What a target shall be: its objects, or why it has none."""

    digest: str = ""
    objects: tuple[Mapping, ...] = ()
    finding: Finding | None = None


@dataclass
class Replay:
    """Histories that are served from bare repositories, all commits of them in lockstep."""

    git: Repositories
    engines: Engines
    histories: Sequence[History] = HISTORIES
    commits: dict[str, list[pygit2.Commit]] = field(default_factory=dict)
    fleet: Fleet | None = None
    _files: dict[str, str] = field(default_factory=dict)
    _known: dict[str, Wanted] = field(default_factory=dict)

    def serve(self, replay, rounds=None):
        """Serve copies of the histories at their first commit, and a fleet that names them; `rounds`: chosen ones."""
        for history in self.histories:
            path = self.git.path(history.series)
            shutil.copytree(replay(history.series), path)
            repository = pygit2.Repository(str(path))
            order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
            made = list(repository.walk(repository.head.target, order))
            self.commits[history.series] = [made[min(each, len(made) - 1)] for each in rounds] if rounds else made
            repository.references.create(BRANCH, self.commits[history.series][0].id, force=True)
            repository.set_head(BRANCH)
        self._files = {
            "fleet.yaml": "version: 1\nsources:\n"
            + "".join(
                f"  {each.series}: {{url: {self.git.path(each.series)}, ref: main}}\n" for each in self.histories
            ),
            "clusters/all.yaml": "clusters:\n"
            + "".join(f"- {{name: {name}, labels: {{env: {name}}}}}\n" for name in ENVIRONMENTS),
            **{f"apps/{each.app}/app.yaml": f"{each.text}sync: {{onImmutable: recreate}}\n" for each in self.histories},
        }
        self.git.commit("fleet", self._files)
        self.fleet = read_fleet(MappingTree(self._files), "fleet")

    @property
    def rounds(self) -> int:
        return max(map(len, self.commits.values()))

    def at(self, series, number) -> pygit2.Commit:
        return self.commits[series][min(number, len(self.commits[series]) - 1)]

    def move(self, number) -> list[str]:
        """Let every history be at its commit of a round; return those commits."""
        found = []
        for history in self.histories:
            commit = self.at(history.series, number)
            self.git.point(history.series, BRANCH, str(commit.id))
            found.append(str(commit.id))
        return found

    def plan(self, number) -> Plan:
        repositories = {}
        for history in self.histories:
            path = self.git.path(history.series)
            reader = reader_of(pygit2.Repository(str(path)))
            tree = GitTree(reader, str(self.at(history.series, number).tree_id))
            repositories[str(path), "main"] = Repository(tree, provenance=1)
        return plan_of(self.fleet, MappingTree(self._files), self.fleet.clusters, repositories)

    async def wanted(self, number) -> dict[tuple[str, str], Wanted]:
        """Return what every target shall be in a round: (cluster, app) → what was rendered of it."""
        found = {}
        for target in self.plan(number).targets:
            place = target.cluster, target.app
            found[place] = Wanted(finding=target.findings[0]) if target.inputs is None else await self._of(target)
        return found

    async def _of(self, target) -> Wanted:
        key = self.engines.key(target.inputs)
        if key not in self._known:
            try:
                bundle = await self.engines.bundle(target.inputs)
            except FindingsError as error:
                self._known[key] = Wanted(finding=error.findings[0])
            else:
                self._known[key] = Wanted(bundle.digest, tuple(await self.engines.render(target.inputs)))
        return self._known[key]


def install_kinds(cluster: SimulatedCluster) -> None:
    """Let a cluster know the custom kinds that the histories use."""
    for group, kinds in KINDS.items():
        for kind, versions in kinds.items():
            plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
            schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
            cluster.store.apply(
                {
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": f"{plural}.{group}"},
                    "spec": {
                        "group": group,
                        "scope": "Namespaced",
                        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                        "versions": [
                            {"name": version, "served": True, "storage": not index, "schema": schema}
                            for index, version in enumerate(versions)
                        ],
                    },
                }
            )


def plant(cluster: SimulatedCluster) -> dict[str, str]:
    """Put what belongs to others into a cluster, also into the apps' namespaces; return key → resource version."""
    for namespace in (*NAMESPACES, "others"):
        cluster.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        cluster.store.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "of-somebody", "namespace": namespace, "labels": {"app": "podinfo"}},
                "data": {"mine": "yes"},
            }
        )
    cluster.store.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "of-somebody"},
            "rules": [],
        }
    )
    return foreign(cluster)


def foreign(cluster: SimulatedCluster) -> dict[str, str]:
    """Return what is not Towline's: key → resource version."""
    return {
        str(key_of(each)): each["metadata"]["resourceVersion"]
        for each in cluster.store.objects()
        if LABEL not in (each["metadata"].get("labels") or {}) and each["metadata"].get("namespace") != "towline"
    }


def owned(line: Line, cluster: str) -> dict[str, dict[str, str]]:
    """Return what is Towline's: app → place → resource version."""
    found: dict[str, dict[str, str]] = {}
    for each in line.owned(cluster).values():
        app = each["metadata"]["annotations"][OWNER].partition(":")[0]
        found.setdefault(app, {})[place(line.cluster(cluster), each)] = each["metadata"]["resourceVersion"]
    return found


def place(cluster: SimulatedCluster, manifest: Mapping, namespace: str = "") -> str:
    """Return where a cluster stores an object: the same for all API versions of its kind."""
    resource = cluster.state.catalogue.by_kind(manifest["apiVersion"], manifest["kind"])
    metadata = manifest["metadata"]
    own = (metadata.get("namespace") or namespace) if resource.namespaced else ""
    return f"{resource.storage}:{own}/{metadata['name']}"


def content(value):
    """Return an object without what servers and agents write: the same on every cluster."""
    kept = {name: part for name, part in value.items() if name not in {"metadata", "status"}}
    metadata = value["metadata"]
    marks = {"labels": LABEL, "annotations": OWNER}
    texts = {
        name: {key: text for key, text in (metadata.get(name) or {}).items() if key != mark}
        for name, mark in marks.items()
    }
    return {**_without_chosen(kept), **texts, "name": metadata["name"], "namespace": metadata.get("namespace", "")}


def _without_chosen(value):
    if isinstance(value, dict):
        return {name: _without_chosen(part) for name, part in value.items() if name not in CHOSEN}
    return [_without_chosen(part) for part in value] if isinstance(value, list) else value


def differences(line: Line, name: str, apart: SimulatedCluster, app: str, wanted: Sequence[Mapping]) -> list[str]:
    """Return the objects that are otherwise on a cluster than on one that sees `wanted` for the first time."""
    found = []
    for each in wanted:
        resource = apart.state.catalogue.by_kind(each["apiVersion"], each["kind"])
        namespace = each["metadata"].get("namespace") or app if resource.namespaced else ""
        manifest = {**each, "metadata": {**each["metadata"], **({"namespace": namespace} if namespace else {})}}
        at = each["apiVersion"], each["kind"], namespace, each["metadata"]["name"]
        if each["kind"] != "Namespace":
            apart.store.delete(*at)
            if namespace:
                apart.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        right = content(apart.store.apply(manifest))
        live = line.cluster(name).store.get(*at)
        if live is None or content(live) != right:
            found.append(f"{place(apart, manifest)}: {content(live) if live else None} instead of {right}")
    return found


async def arrived(line: Line, commits: Sequence[str], stage="applied") -> dict:
    """Return the progress of commits once each of their targets is there or failed for good."""
    last = {}

    async def there():
        nonlocal last
        last = await line.progress(stage, commits=",".join(sorted(set(commits))))
        return last["state"] in {"done", "failed", "empty"} and not last["waiting"] and last

    return await until(there, what=lambda: f"{stage}: {last}\n{line.hub.tail(8)}")


def replays_allowed(root: Path) -> dict[str, str]:
    """Return the setting that lets fleets name the repositories in `root`."""
    return {"TOWLINE_POLLER_ALLOW": f"{root}/"}
