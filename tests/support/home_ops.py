"""A real cluster's repository as one bundle: what its Flux makes of it, written so that one run of our engine makes it.

Flux builds each of its Kustomizations apart: the folder that it names, with components, variables and a namespace of its
own. Here all of them are kustomizations below one root.
"""

import json
import posixpath
import re

import yaml

from services.renderer.inputs import AppInputs
from services.renderer.scopes import Scopes
from shared.core.trees import EntryKind
from tests.support.definitions import definition_of
from tests.support.mapping_tree import MappingTree

FLUX_ROOT = "./kubernetes/"
"""Where the series' root was in the repository that it was taken from."""
CLUSTER_SCOPED = frozenset(
    {
        "CiliumBGPAdvertisement",
        "CiliumBGPClusterConfig",
        "CiliumBGPPeerConfig",
        "CiliumCIDRGroup",
        "CiliumClusterwideNetworkPolicy",
        "CiliumLoadBalancerIPPool",
        "ClusterRepository",
        "ClusterSecretStore",
        "GatewayClass",
        "MiroirNode",
        "VolumeSnapshotClass",
    }
)
_VARIABLE = re.compile(r"\$\{(\w+)(?::[-=]([^${}]*))?\}")


def home_ops_inputs(tree):
    """Return what the engine makes the whole cluster's bundle of, from a commit's tree."""
    files = {path: tree.read(path) for path in _paths(tree, "") if path.startswith(("apps/", "components/"))}
    spaces = sorted(path for path in files if path.count("/") == 2 and path.endswith("/kustomization.yaml"))
    roots = [path.removesuffix("/kustomization.yaml") for path in spaces if path.startswith("apps/")]
    for path in sorted(path for path in files if path.endswith("/ks.yaml")):
        for built in filter(None, yaml.safe_load_all(files[path])):
            roots.append(f"flux/{built['spec']['targetNamespace']}-{built['metadata']['name']}")
            files |= _wrapped(built["spec"], roots[-1], files)
    files["kustomization.yaml"] = json.dumps({"resources": roots}).encode()
    return AppInputs("home", "kustomize", "default", MappingTree(files), path="", reads=("",))


def definitions_for(objects):
    """Return definitions of the custom kinds among these objects: any content, in the versions that they use."""
    scopes, versions = Scopes([]), {}
    for each in objects:
        if scopes.namespaced(each) is None:
            group, _, version = each["apiVersion"].rpartition("/")
            versions.setdefault((group, each["kind"]), set()).add(version)
    return [_definition(group, kind, sorted(used)) for (group, kind), used in sorted(versions.items())]


def _definition(group, kind, versions):
    scope = "Cluster" if kind in CLUSTER_SCOPED else "Namespaced"
    made = definition_of(kind, group, versions=versions, scope=scope)
    # An API server takes kinds of Kubernetes' own groups only with a word about who approved them.
    made["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test's own"}
    return made


def _wrapped(spec, folder, files):
    """Return the files of a kustomization that builds what one of Flux's does."""
    built = spec["path"].removeprefix(FLUX_ROOT)
    variables = {name: str(value) for name, value in spec.get("postBuild", {}).get("substitute", {}).items()}
    made, components = {}, []
    for number, relative in enumerate(spec.get("components", ())):
        component = posixpath.normpath(f"{built}/{relative}")
        components.append(f"part-{number}")
        for path, content in files.items():
            if path.startswith(f"{component}/"):
                made[f"{folder}/part-{number}/{path.removeprefix(component)[1:]}"] = _filled(content, variables)
    body = {"namespace": spec["targetNamespace"], "resources": [f"../../{built}"], "components": components}
    return {**made, f"{folder}/kustomization.yaml": json.dumps(body).encode()}


def _paths(tree, folder):
    for entry in tree.folder(folder):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.kind is EntryKind.FOLDER:
            yield from _paths(tree, path)
        else:
            yield path


def _filled(content, variables):
    """Return a text with Flux's variables filled in, from the inside out: a default may name another variable."""

    def value(found):
        return variables.get(found[1], found[2] or "")

    text, before = content.decode(), ""
    while text != before:
        before, text = text, _VARIABLE.sub(value, text)
    return text.encode()
