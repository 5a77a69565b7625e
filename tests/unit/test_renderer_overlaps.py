"""An object belongs to one app of a cluster; what only the cluster could tell apart is not called the same."""

from services.renderer.overlaps import MOST, overlaps

CONFIG = "/ConfigMap:shop/web"
OPEN = "cert-manager.io/Certificate:/tls"


def test_the_same_key_in_two_apps_is_found_once_for_each_later_app():
    found = overlaps({"b": ("x", [CONFIG]), "a": ("y", [CONFIG]), "c": ("z", [CONFIG])})

    assert [tuple(each) for each in found] == [(CONFIG, "a", "b"), (CONFIG, "a", "c")]


def test_objects_that_get_the_namespaces_of_their_apps_are_different_ones():
    assert overlaps({"a": ("x", [OPEN]), "b": ("y", [OPEN])}) == []
    assert len(overlaps({"a": ("x", [OPEN]), "b": ("x", [OPEN])})) == 1
    # A kind of Kubernetes without a namespace has none.
    assert len(overlaps({"a": ("x", ["/Namespace:/shop"]), "b": ("y", ["/Namespace:/shop"])})) == 1


def test_the_same_app_twice_does_not_drown_everything_else():
    many = [f"/ConfigMap:shop/{number}" for number in range(1000)]

    assert len(overlaps({"a": ("x", many), "b": ("x", many), "c": ("x", [CONFIG]), "d": ("x", [CONFIG])})) == MOST + 1
