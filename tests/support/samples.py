"""Manifests that others wrote, out of their tools' test cases, applied as an agent applies them."""

import json

from services.applier.answered import answered
from services.applier.kube.mapper import Mapper
from services.applier.normalise import marked, placed
from services.renderer.normalise import Problems, normalised
from shared.core.canonical import encode
from shared.core.objects import group_of, key_of
from tests.support.data import data_path
from tests.support.definitions import definition_of

SETS = ("diff_argo", "health_builtin_argo", "health_crd_argo", "health_crd_karmada", "kstatus", "yaml_edge_kubectl")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def samples():
    """Return the objects that stand anywhere in the case sets, each once."""
    texts = [data_path(f"{name}.jsonl").read_text() for name in SETS]
    found = [each for text in texts for line in text.split("\n") if line for each in _objects(json.loads(line))]
    return list({json.dumps(each, sort_keys=True): each for each in found}.values())


async def define(server, objects):
    """Have the kinds of these objects served that are custom ones; what is no name for a kind is left out."""
    kinds = {}
    for each in objects:
        group, _, version = each["apiVersion"].rpartition("/")
        if "." in group and not group.endswith("k8s.io"):
            kinds.setdefault((group, each["kind"]), set()).add(version)
    for (group, kind), versions in sorted(kinds.items()):
        definition = definition_of(kind, group, versions=sorted(versions), status=True)
        await server.apply(definition, f"{DEFINITIONS}/{definition['metadata']['name']}", force="true")


async def what_is_said(server, objects, **query):
    """Apply objects one after the other, and return of how many kinds some were taken, and what was said of which."""
    mapper = Mapper(server.session)
    await mapper.refresh(older_than_s=0.0)
    taken, told = set(), {}
    for each in objects:
        key, version = key_of(each), each["apiVersion"].rpartition("/")[2]
        resource = mapper.find(key, version)
        if resource is None or key.kind in {"Node", "Namespace"}:
            continue
        place = server.namespace if resource.namespaced else ""
        body = marked(placed(normalised(each, Problems()), place), "cluster", "app")
        query = {"force": "true", "fieldValidation": "Strict", **query}
        reply = await server.apply(body, resource.path(place, key.name), **query)
        if reply.ok:
            taken.add((group_of(each["apiVersion"]), each["kind"]))
            said = answered(encode(body), reply.body, strict=True)
            if said.failure or said.warnings:
                told[str(key)] = (said.failure and said.failure.message, *said.warnings)
    return taken, told


def _objects(value):
    if isinstance(value, dict):
        named = isinstance(value.get("metadata"), dict) and value["metadata"].get("name")
        if all(isinstance(value.get(name), str) for name in ("apiVersion", "kind")) and isinstance(named, str):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)
