"""kubesim gives the same answers as the real server for definitions and their objects; see test_kubesim_answers."""

from dataclasses import replace

import pytest

from services.applier.kube.session import METADATA_LIST
from tests.support.definitions import definition_of
from tests.support.exchanges import apply, delete, get, thing, told

pytestmark = pytest.mark.cluster

PLAIN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WIDGET = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "plain": {"type": "array", "items": {"type": "string"}},
        "rows": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
            },
        },
        "port": {"x-kubernetes-int-or-string": True},
        "free": PLAIN,
        "limits": {"type": "object", "additionalProperties": {"type": "string"}},
        "maybe": {"type": "string", "nullable": True},
    },
    "x-kubernetes-validations": [{"rule": "self.size < 100", "message": "too big for us"}],
}
GROUP = "{ns}.example.org"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION, WIDGETS = f"{DEFINITIONS}/widgets.{GROUP}", f"/apis/{GROUP}/v1/namespaces/{{ns}}/widgets"


def definition(versions=("v1",)):
    schema = {"type": "object", "properties": {"spec": WIDGET, "status": PLAIN}}
    return definition_of("Widget", GROUP, schema, versions, status=True)


def changed(**spec):
    whole = definition()
    return {**whole, "spec": {**whole["spec"], **spec}}


def widget(version="v1", /, status=None, metadata=None, **spec):
    more = {} if status is None else {"status": status}
    return thing(f"{GROUP}/{version}", "Widget", metadata=metadata, spec={"size": 1, **spec}, **more)


def made(body, name="c", **query):
    return replace(apply(f"{WIDGETS}/{name}", body, **query), patient=True)


EXCHANGES = {
    "a definition": [
        apply(DEFINITION, definition()),
        made(widget()),  # not before it is established is its scope fixed
        apply(DEFINITION, changed(scope="Cluster")),
        apply(DEFINITION, definition(("v2",))),
        apply(DEFINITION, definition(("v1", "v2"))),
        delete(DEFINITION, {"propagationPolicy": "Background"}),
    ],
    "bad definitions": [
        apply(DEFINITION, changed(names={"kind": "Widget", "plural": "others"})),
        apply(DEFINITION, changed(versions=[])),
        apply(DEFINITION, changed(versions=[{"name": "v1", "served": True, "storage": True}])),
    ],
    "a custom object": [
        apply(DEFINITION, definition()),
        made(widget()),
        made(widget()),
        made(widget(mode="b", port="http", free={"x": [1]}, rows=[{"id": "a", "n": 1}])),
        made(widget(rows=[{"id": "b"}]), manager="other"),
        made(widget(mode="b", rows=[{"id": "a", "n": 2}], limits={"cpu": "1000m"}, plain=[])),
        made(widget(status={"phase": "ignored"})),
        get(f"{WIDGETS}/c"),
        get(WIDGETS),
        get(WIDGETS, accept=METADATA_LIST),
        get(f"{WIDGETS}/none"),
        get(f"/apis/{GROUP}/v2/namespaces/{{ns}}/widgets/c"),
        get(f"/apis/{GROUP}/v1/namespaces/{{ns}}/others/c"),
        delete(f"{WIDGETS}/c", {"propagationPolicy": "Background"}),
        delete(DEFINITION),
    ],
    "bad custom objects": [
        apply(DEFINITION, definition()),
        made(widget(nonsense=1)),
        made(widget(size="many")),
        made(widget(size=0)),
        made(widget(size=None)),
        made(widget(mode="c")),
        made(widget(maybe=None)),
        made(widget(rows=[{"n": 1}])),
        made(widget(rows=[{"id": "a"}, {"id": "a"}])),
        made(thing(f"{GROUP}/v1", "Widget", spec={"mode": "a"})),
        made(widget("v2")),
        delete(DEFINITION),
    ],
    "a custom list that two managers want": [
        apply(DEFINITION, definition()),
        made(widget(plain=["a"])),
        made(widget(plain=["b"]), manager="other"),
        made(widget(plain=["b"]), manager="other", force="true"),
        delete(DEFINITION),
    ],
    "a custom object with empties": [
        apply(DEFINITION, definition()),
        made(widget(metadata={"labels": {}, "annotations": {}, "finalizers": []}, free={}, rows=[])),
        delete(DEFINITION),
    ],
    "a second version": [
        apply(DEFINITION, definition(("v1", "v2"))),
        made(widget(mode="a")),
        replace(get(f"/apis/{GROUP}/v2/namespaces/{{ns}}/widgets/c"), patient=True),
        apply(f"/apis/{GROUP}/v2/namespaces/{{ns}}/widgets/c", widget("v2", mode="b")),
        get(f"{WIDGETS}/c"),
        delete(DEFINITION),
    ],
}


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
async def test_kubesim_answers_as_the_real_server(sim_server, api_server, exchange):
    exchange = list(exchange)
    simulated = await told(sim_server, exchange)
    real = await told(api_server, exchange)

    assert simulated == real
