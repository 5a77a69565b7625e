"""Layers: all that exist apply, later wins, and labels name one folder or file, never a way out."""

import pytest

from services.renderer.layers import Layers
from tests.support.mapping_tree import MappingTree

TREE = MappingTree(
    {
        "apps/web/overlays/dev/kustomization.yaml": "",
        "apps/web/overlays/prod/kustomization.yaml": "",
        "apps/web/components/eu/kustomization.yaml": "",
        "apps/web/values.yaml": "",
        "apps/web/values/clusters/c1.yaml": "",
        "apps/secret.yaml": "",
    }
)


def paths(patterns, **labels):
    return [path for _, path in Layers(TREE, "apps/web", patterns).of(labels)]


def test_all_layers_that_exist_apply_in_order():
    patterns = ["values.yaml", "overlays/{env}", "components/{region}", "values/clusters/{cluster}.yaml"]

    assert paths(patterns, env="prod", region="us", cluster="c1") == [
        "apps/web/values.yaml",
        "apps/web/overlays/prod",
        "apps/web/values/clusters/c1.yaml",
    ]


def test_a_cluster_without_the_label_has_no_such_layer():
    assert paths(["overlays/{env}"], region="eu") == []


@pytest.mark.parametrize("label", ["..", ".", "../../secret.yaml", "a/b", "", "prod\n"])
def test_a_label_is_no_way_out(label):
    """Labels may be claimed by agents."""
    assert paths(["overlays/{env}", "{env}/secret.yaml"], env=label) == []


def test_every_layer_that_some_cluster_could_get_is_found():
    patterns = ["overlays/{env}", "values/{kind}/{cluster}.yaml", "values.yaml", "none/{env}"]

    assert list(Layers(TREE, "apps/web", patterns).possible()) == [
        "apps/web/overlays/dev",
        "apps/web/overlays/prod",
        "apps/web/values/clusters/c1.yaml",
        "apps/web/values.yaml",
    ]
