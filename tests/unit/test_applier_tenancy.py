"""As whom a bundle is applied, and what it may bring."""

import pytest

from services.applier.intake import Place, intake
from services.applier.state import Header, Inventory
from services.applier.tenancy import (
    Fence,
    LocalPolicy,
    ServiceAccount,
    TenancyError,
    tenancy_of,
    tenant_of,
)
from shared.core.objects import ObjectKey
from shared.errors import FindingsError

ANYTHING = LocalPolicy()
DEFAULT = ServiceAccount("apps", "all")
STRICT = LocalPolicy(Fence(("shop*",)), privileged=(), accounts=None)
UNFENCED = LocalPolicy(privileged=(), accounts=None)
SCOPES = {
    ("", "ConfigMap"): True,
    ("", "Secret"): True,
    ("", "Namespace"): False,
    ("rbac.authorization.k8s.io", "ClusterRole"): False,
}


def options(**more):
    return {"namespace": "shop", **more}


def config_map(name, namespace="shop", **metadata):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"a": "1"},
    }


def taken(objects, tenancy, strangers=()):
    place = Place("prod", "web", "shop", SCOPES, b"key", tenancy=tenancy, strangers=frozenset(strangers))
    return intake(objects, place, Inventory(Header("web")))


def refusals(objects, tenancy, strangers=()):
    with pytest.raises(FindingsError) as caught:
        taken(objects, tenancy, strangers)
    return [(each.code, each.message) for each in caught.value.findings]


@pytest.mark.parametrize(
    ("policy", "written", "user"),
    [
        (ANYTHING, "", ""),
        (ANYTHING, "deployer", "system:serviceaccount:shop:deployer"),
        (ANYTHING, "apps/shop.deployer", "system:serviceaccount:apps:shop.deployer"),
        (LocalPolicy(run_as=DEFAULT, privileged=()), "", "system:serviceaccount:apps:all"),
        (LocalPolicy(run_as=DEFAULT, privileged=()), "deployer", "system:serviceaccount:shop:deployer"),
        (LocalPolicy(run_as=DEFAULT, privileged=("web",)), "", ""),
        (LocalPolicy(privileged=("we*",)), "", ""),
        (LocalPolicy(privileged=("we*",)), "shop/deployer", "system:serviceaccount:shop:deployer"),
    ],
)
def test_an_app_acts_as_the_account_that_it_names_else_as_the_agents_default(policy, written, user):
    """O1: the name alone is an account of the app's namespace; without any the agent's own rights, where allowed."""
    assert tenancy_of("web", options(runAs=written), policy).user == user


def test_without_an_account_an_app_needs_the_owners_word():
    """O1: an agent that was told who is privileged lends its rights to nobody else."""
    with pytest.raises(TenancyError, match="may not use the agent's own rights"):
        tenancy_of("web", options(), LocalPolicy(privileged=("platform",)))


@pytest.mark.parametrize("written", ["shop/", "/deployer", "a/b/c", "Deployer", "kube system/x", "system:admin"])
def test_what_names_no_account_is_refused_and_never_ignored(written):
    """O1: to go on with the agent's own rights would give a tenant more than it was granted."""
    with pytest.raises(TenancyError, match="names no service account"):
        tenancy_of("web", options(runAs=written), ANYTHING)


def test_an_app_may_not_name_an_account_of_somebody_else():
    """O8: only the accounts that the cluster's owner lists; without a list those of namespaces that a fence allows."""
    listed = LocalPolicy(accounts=("*/deployer",))

    assert tenancy_of("web", options(runAs="apps/deployer"), listed).account == ServiceAccount("apps", "deployer")
    assert tenancy_of("web", options(runAs="shop/any"), STRICT).account == ServiceAccount("shop", "any")
    assert tenancy_of("web", options(runAs="d", fence={"namespaces": ["shop"]}), UNFENCED).account
    for policy, name in ((listed, "kube-system/admin"), (STRICT, "kube-system/deployer"), (UNFENCED, "shop/any")):
        with pytest.raises(TenancyError, match="may not act as"):
            tenancy_of("web", options(runAs=name), policy)


ROLE = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "r")


@pytest.mark.parametrize(
    ("policy", "told", "inside", "outside"),
    [
        # By default a privileged app may bring anything, another one what is namespaced in its own namespace.
        (ANYTHING, {}, [("shop", "ConfigMap"), ("web", "Secret"), ROLE], []),
        (ANYTHING, {"runAs": "d"}, [("shop", "Secret")], [("web", "ConfigMap"), ROLE]),
        # What the fleet signed.
        (
            ANYTHING,
            {"runAs": "d", "fence": {"namespaces": ["shop", "shop-*"], "clusterScoped": False}},
            [("shop-eu", "Secret")],
            [("web", "ConfigMap"), ROLE],
        ),
        (ANYTHING, {"fence": {"namespaces": ["shop"], "clusterScoped": True}}, [ROLE], [("web", "ConfigMap")]),
        # What the cluster's owner wrote, which the fleet cannot widen.
        (
            LocalPolicy(Fence(("shop",), ("Namespace",), ("Secret", "rbac.authorization.k8s.io/*"))),
            {"runAs": "d", "fence": {"namespaces": ["*"], "clusterScoped": True}},
            [("shop", "ConfigMap"), ObjectKey("", "Namespace", "", "shop")],
            [("web", "ConfigMap"), ("shop", "Secret"), ROLE],
        ),
    ],
)
def test_fences_hold_whatever_the_permissions_are(policy, told, inside, outside):
    """O4: the owner's, the fleet's, and the default of an app that is not privileged."""
    tenancy = tenancy_of("web", options(**told), policy)

    def key(each):
        return each if isinstance(each, ObjectKey) else ObjectKey("", each[1], each[0], "x")

    assert [each for each in inside if tenancy.trouble(key(each))] == []
    assert [each for each in outside if not tenancy.trouble(key(each))] == []


def test_all_violations_are_listed_at_once():
    """O4: with who put the fence up; what is inside is not named."""
    objects = [
        config_map("inside"),
        config_map("a", "web"),
        config_map("b", "kube-system"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}},
    ]
    found = refusals(objects, tenancy_of("web", options(runAs="d"), ANYTHING))

    assert [code for code, _ in found] == ["object.fenced"] * 3
    assert "the namespace 'web' is none of shop (an app with runAs)" in found[0][1]


def test_the_apps_own_namespace_is_made_inside_any_fence():
    """O4: the agent adds it where it is missing; the app did not bring it."""
    found = taken([config_map("a")], tenancy_of("web", options(runAs="d"), ANYTHING))

    assert ObjectKey("", "Namespace", "", "shop") in found.wanted


@pytest.mark.parametrize("written", [["shop"], {"namespace": ["shop"]}, {"namespaces": "shop"}, {"namespaces": [1]}])
def test_a_fence_that_is_not_understood_keeps_the_app_out(written):
    """O4: going on without it would open it."""
    with pytest.raises(TenancyError, match="not understood"):
        tenancy_of("web", options(fence=written), ANYTHING)


@pytest.mark.parametrize("mark", ["owner", "agent"])
@pytest.mark.parametrize("place", ["annotations", "labels"])
def test_a_bundle_may_not_set_our_marks(mark, place):
    """O9: they would make an object somebody else's, or ours."""
    found = refusals([config_map("a", **{place: {f"towline.dev/{mark}": "x"}})], tenancy_of("web", options(), ANYTHING))

    assert found == [("object.reserved", f"/ConfigMap:shop/a sets towline.dev/{mark}, which only the agent may set")]


def test_an_object_moves_only_between_apps_of_one_tenant():
    """O9: taking it over from another tenant's app is refused."""
    objects = [config_map("a", annotations={"towline.dev/transfer-from": "other"})]
    tenancy = tenancy_of("web", options(), ANYTHING)

    assert taken(objects, tenancy, strangers={"third"}).wanted
    assert "takes over from app 'other'" in refusals(objects, tenancy, strangers={"other"})[0][1]


def test_apps_are_of_one_tenant_when_they_act_as_the_same_account():
    """O9: an app that is refused is nobody's."""
    mine = tenant_of("web", options(runAs="d"), STRICT)

    assert mine == tenant_of("api", options(runAs="shop/d"), STRICT)
    assert mine != tenant_of("api", options(runAs="e"), STRICT)
    assert tenant_of("a", options(), STRICT) != tenant_of("b", options(), STRICT)
