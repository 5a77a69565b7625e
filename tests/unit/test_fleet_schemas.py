"""The schemas for editors take and refuse what the reader takes and refuses, and say what each key means."""

import json

import jsonschema_rs
import pytest

from shared.core.kubeyaml import documents
from shared.fleet.checking import checked
from shared.fleet.files import WrittenCluster
from shared.fleet.schemas import FILES, schema_of

GOOD = {
    "fleet": [
        "version: 1\n",
        "version: 1\nrollouts: {slow: {stages: [{name: dev, match: {env: [dev, test]}, batch: 2, soak: 1h30m}]}}\n",
        "version: 1\nrollouts: {r: {onFailure: rollback, stages: [{name: a, batch: 25%, approval: manual, windows: office}]}}\n",
        "version: 1\nwindows: {office: {allow: 'Mon-Fri 09:00-16:00', timezone: Europe/Berlin}, no: {deny: ['2026-12-24']}}\n",
        "version: 1\nsources: {p: {url: https://git.example.org/p.git, ref: v1.x, verify: {signers: [ops]}}}\n",
        "version: 1\nprojects: {shop: {namespaces: [shop, 'shop-*'], clusters: {env: prod}}}\nclaims: {accept: [region]}\n",
    ],
    "clusters": [
        "clusters: []\n",
        "labels: {env: prod}\nkubeVersion: 1.36.2\nclusters: [{name: a, labels: {x: 'y'}, values: {n: 1, l: [1]}}]\n",
    ],
    "app": [
        "{}\n",
        "namespace: web\nlayers: ['overlays/{env}']\ntargets: {env: prod}\nrollout: standard\nsource: platform\n",
        "targets: [{env: [dev, prod]}, {region: eu}]\nrollout: {stages: [{name: all, batch: 50%}]}\n",
        "helm: {chart: ./chart, values: {a: {b: [1]}}}\nsync: {dependsOn: [a], retry: {first: 5s}, pruneCRDs: true}\n",
        "plain: {template: jinja}\nsubstitute: {vars: {A_B: x}, strict: true}\nvalidate: strict\nkustomize:\n",
        "sync: {healthChecks: [{apiVersion: acme.io/v1, kind: W, current: 'true'}], windows: [a, b]}\n",
    ],
}
BAD = {
    "fleet": [
        "version: 2\n",
        "{}\n",
        "version: 1\nrolouts: {}\n",
        "version: 1\nrollouts: {hub: {}}\n",
        "version: 1\nrollouts: {r: {stages: [{name: ''}]}}\n",
        "version: 1\nrollouts: {r: {stages: [{name: a, batch: 0}]}}\n",
        "version: 1\nrollouts: {r: {stages: [{name: a, soak: soon}]}}\n",
        "version: 1\nwindows: {office: {timezone: Europe/Berlin}}\n",
        "version: 1\nsources: {p: {ref: main}}\n",
        "version: 1\nsources: {p: {url: x, verify: {mode: all, signers: [a]}}}\n",
    ],
    "clusters": [
        "clusters: {name: a}\n",
        "clusters: [{labels: {a: b}}]\n",
        "clusters: [{name: Upper}]\n",
        "clusters: [{name: hub}]\n",
        "clusters: [{name: a, labels: {n: 1}}]\n",
        "clusters: [{name: a, kubeVersion: new}]\n",
    ],
    "app": [
        "namespase: web\n",
        "namespace: Web\n",
        "layers: overlays\n",
        "targets: prod\n",
        "plain: {template: go}\n",
        "validate: sometimes\n",
        "substitute: {vars: {a-b: x}}\n",
        "sync: {prune: 'yes'}\n",
        "sync: {timeout: 5}\n",
        "sync: {healthChecks: [{kind: W}]}\n",
        "sync: {suspend: {until: tomorrow}}\n",
        "helm: {version: 1}\n",
    ],
}


def cases(documents_of):
    return [(name, text) for name, texts in documents_of.items() for text in texts]


def read(name, text):
    """Return whether the reader takes a document."""
    (document,) = documents(text.encode(), "file.yaml")
    findings = []
    written = checked(FILES[name], document, findings)
    if written is not None and name == "clusters":
        for index in range(len(written.clusters)):
            checked(WrittenCluster, document, findings, ("clusters", index))
    return not findings


def taken(name, text):
    """Return whether an editor shows no complaint."""
    (document,) = documents(text.encode(), "file.yaml")
    return jsonschema_rs.Draft202012Validator(schema_of(name)).is_valid(document.value)


@pytest.mark.parametrize(("name", "text"), cases(GOOD))
def test_both_take_what_is_right(name, text):
    assert read(name, text)
    assert taken(name, text)


@pytest.mark.parametrize(("name", "text"), cases(BAD))
def test_both_refuse_what_is_wrong(name, text):
    assert not read(name, text)
    assert not taken(name, text)


def test_two_engines_are_refused_already_in_the_editor():
    assert not taken("app", "plain: {}\nhelm: {}\n")


@pytest.mark.parametrize("name", FILES)
def test_every_key_is_explained(name):
    schema = schema_of(name)
    models = [schema, *schema["$defs"].values()]
    silent = [
        key for model in models for key, each in model.get("properties", {}).items() if not each.get("description")
    ]

    assert silent == []
    assert json.dumps(schema) == json.dumps(schema_of(name))
