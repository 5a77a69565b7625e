"""A fleet of overlays on one base, as commits of a bare repository."""

import json

import pygit2

from shared.git.trees import GitTree, Listings, reader_of
from tests.support.kustomizations import OBJECTS

BASE = ("deployment", "service", "settings", "account", "ingress")
PATCH = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


def overlay(number, note=""):
    """The kustomization of one cluster: most of what people write into one."""
    resources = {"limits": {"memory": f"{number % 7 + 1}Gi"}}
    merge = PATCH | {"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": resources}]}}}}
    operations = [{"op": "add", "path": "/metadata/annotations/acme.io~1cluster", "value": f"c{number}{note}"}]
    return {
        "resources": ["../../base"],
        "namespace": f"team-{number}",
        "namePrefix": f"c{number}-",
        "labels": [{"pairs": {"acme.io/cluster": f"c{number}"}, "includeTemplates": True}],
        "images": [{"name": "acme/app", "newTag": f"1.{number}"}],
        "replicas": [{"name": "web", "count": number % 5 + 1}],
        "patches": [
            {"path": "memory.yaml"},
            {"patch": json.dumps(operations), "target": {"kind": "Deployment"}},
        ],
        "configMapGenerator": [{"name": "cluster", "literals": [f"name=c{number}", "region=eu"]}],
    }, merge


class Fleet:
    """A repository with `count` clusters, each with an overlay of its own."""

    def __init__(self, folder, count):
        self.count = count
        self._repository = pygit2.init_repository(str(folder), bare=True)
        self._listings = Listings()
        self._files = {"fleet.yaml": "version: 1\n", "apps/web/app.yaml": "layers: ['overlays/{cluster}']\n"}
        clusters = "".join(f"- {{name: c{number}, labels: {{env: prod}}}}\n" for number in range(count))
        self._files["clusters/all.yaml"] = f"clusters:\n{clusters}"
        self._files |= {f"apps/web/base/{name}.yaml": OBJECTS[name] for name in BASE}
        self._files["apps/web/base/kustomization.yaml"] = json.dumps({"resources": [f"{name}.yaml" for name in BASE]})
        for number in range(count):
            self.touch(number)

    def touch(self, number, note=""):
        """Write one cluster's overlay."""
        kustomization, merge = overlay(number, note)
        folder = f"apps/web/overlays/c{number}"
        self._files[f"{folder}/kustomization.yaml"] = json.dumps(kustomization, indent=1)
        self._files[f"{folder}/memory.yaml"] = json.dumps(merge)

    def touch_base(self, note):
        """Write the base, which changes every target."""
        self._files["apps/web/base/settings.yaml"] = OBJECTS["settings"] + f"  note: {note}\n"

    def tree(self):
        """Commit what is written and return its tree, as a renderer's store gives it: only folders were read before."""
        index = pygit2.Index()
        for path, text in self._files.items():
            blob = self._repository.create_blob(text.encode())
            index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        return GitTree(reader_of(self._repository), str(index.write_tree(self._repository)), self._listings)
