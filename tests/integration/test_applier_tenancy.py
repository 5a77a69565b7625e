"""Apps that act as service accounts of their own, and what the owner of a cluster allows."""

from dataclasses import replace

import pytest
import yaml

from services.applier.tenancy import Fence, LocalPolicy
from tests.support.agents import OPTIONS, config_map, running

ACCOUNT = "system:serviceaccount:web:deployer"
AS_DEPLOYER = {**OPTIONS, "runAs": "web/deployer"}
ALL = ["get", "list", "create", "patch", "delete"]


def account(sim, name="deployer", namespace="web"):
    metadata = {"name": name, "namespace": namespace}
    sim.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    sim.store.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def grant(sim, *resources, verbs=ALL, name="deployer"):
    """Let an account do something in its namespace."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name, "namespace": "web"}}
    sim.store.apply({**api, "kind": "Role", "rules": [{"apiGroups": ["*"], "resources": [*resources], "verbs": verbs}]})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "web"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    sim.store.apply({**api, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})


def asked(sim, *, plural):
    return [each for each in sim.requests if f"/{plural}" in each.path]


def names(sim):
    return {each["metadata"]["name"] for each in sim.store.list("v1", "ConfigMap", "web")} - {"kube-root-ca.crt"}


JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "migrate", "namespace": "web", "annotations": {"towline.dev/hook": "PreSync"}},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.org/m"}]}}},
}


async def test_everything_of_an_app_is_done_as_its_account_and_the_rest_as_the_agent(agent, sim):
    """O1, O8: reads, writes, hooks and deletions; not inventory, lease and watches; groups are refused here anyway."""
    account(sim)
    grant(sim, "configmaps", "jobs")
    await agent.release("web", [config_map("a"), config_map("b"), JOB], options=AS_DEPLOYER)
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", [config_map("a", a="2"), JOB], options=AS_DEPLOYER)
    report = await agent.reported(generation=2)

    assert (report.result, names(sim)) == ("succeeded", {"a"})
    own = [
        each for each in (*asked(sim, plural="configmaps"), *asked(sim, plural="jobs")) if not each.query.get("watch")
    ]
    as_account = [each for each in own if each.impersonates == ACCOUNT]
    assert {each.method for each in as_account} == {"GET", "PATCH", "DELETE"}
    assert {each.method for each in own if not each.impersonates} <= {"GET"}  # the first listing of a watch
    assert all("labelSelector" in each.query for each in own if not each.impersonates)
    assert {each.impersonates for each in (*asked(sim, plural="leases"), *asked(sim, plural="secrets"))} == {""}
    assert {each.impersonates for each in sim.requests if each.query.get("watch")} == {""}


async def test_nothing_is_written_for_an_account_that_does_not_exist(agent, sim):
    """O2: the API server would let it pass, with what all service accounts may do; made later, it is used."""
    sim.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    await agent.release("web", [config_map("a")], options=AS_DEPLOYER)
    report = await agent.reported(generation=1)

    assert (report.result, report.reason) == ("refused", "tenancy.account-missing")
    assert "service account web/deployer does not exist" in report.message
    assert not [each for each in sim.requests if each.impersonates]

    account(sim)
    grant(sim, "configmaps")
    await agent.reported(generation=1, result="succeeded")

    assert names(sim) == {"a"}


async def test_a_refusal_carries_what_would_allow_it_and_stops_only_its_app(agent, sim):
    """O3, O5: applied as it stands, the snippet is enough; another app never noticed."""
    account(sim)
    await agent.release("web", [config_map("a")], options=AS_DEPLOYER, publish=False)
    await agent.release("api", [config_map("b")])
    report = await agent.reported(generation=1)
    await agent.reported("api", generation=1, result="succeeded")
    (failure,) = report.failures

    assert report.result == "partial"  # its namespace is well
    assert (
        f'User "{ACCOUNT}" cannot get resource "configmaps" in API group "" in the namespace "web"' in failure.message
    )
    assert names(sim) == {"b"}

    for manifest in yaml.safe_load_all(failure.hint.partition(":\n")[2]):
        sim.store.apply(manifest)
    await agent.instruct("sync", app="web")
    await agent.reported(generation=1, result="succeeded")

    assert names(sim) == {"a", "b"}


async def test_a_refusal_that_names_no_right_is_looked_into(agent, sim):
    """O3: an access review as the account says what it lacks; the same answer from an admission rule stays as it is."""
    account(sim)
    grant(sim, "configmaps", verbs=["get", "create"])
    refused = {
        "kind": "Status",
        "apiVersion": "v1",
        "reason": "Forbidden",
        "code": 403,
        "message": "not by this gateway",
    }
    sim.fail_next(100, 403, refused, match=lambda seen: seen.method == "PATCH" and "/configmaps/" in seen.path)
    await agent.release("web", [config_map("a")], options=AS_DEPLOYER)
    (lacking,) = (await agent.reported(generation=1)).failures
    grant(sim, "configmaps")
    await agent.release("web", [config_map("a")], options=AS_DEPLOYER)
    (denied,) = (await agent.reported(generation=2)).failures

    assert lacking.message == denied.message == "not by this gateway"
    assert f"{ACCOUNT} may not patch configmaps in web; this would allow it:" in lacking.hint
    assert "RoleBinding" not in denied.hint


async def test_a_new_account_prunes_what_the_old_one_made_as_far_as_it_may(agent, sim):
    """O6: what it may not delete stays in the inventory, and goes when it may."""
    account(sim)
    account(sim, "second")
    grant(sim, "configmaps")
    grant(sim, "configmaps", verbs=["get", "list", "create", "patch"], name="second")
    await agent.release("web", [config_map("a"), config_map("b")], options=AS_DEPLOYER)
    await agent.reported(generation=1, result="succeeded")
    as_second = {**OPTIONS, "runAs": "web/second"}
    await agent.release("web", [config_map("a")], options=as_second)
    report = await agent.reported(generation=2)

    assert (report.result, names(sim)) == ("partial", {"a", "b"})
    assert '"system:serviceaccount:web:second" cannot delete' in report.failures[0].message

    grant(sim, "configmaps", name="second")
    await agent.instruct("sync", app="web")
    await agent.reported(generation=2, result="succeeded")

    assert names(sim) == {"a"}


async def test_an_app_whose_account_is_gone_is_held_while_it_is_removed(agent, sim):
    """O7: nothing is dropped from the inventory; with the account back the removal goes on."""
    account(sim)
    grant(sim, "configmaps")
    await agent.release("web", [config_map("a"), config_map("b")], options=AS_DEPLOYER)
    await agent.reported(generation=1, result="succeeded")
    sim.store.delete("v1", "ServiceAccount", "web", "deployer")
    await agent.release("web", removed=True, options=AS_DEPLOYER)
    await agent.stands("web", sync="Held", reason="tenancy.account-missing", objects=2)

    assert "2 objects are left: /ConfigMap:web/a, /ConfigMap:web/b" in agent.status.apps["web"].message
    assert names(sim) == {"a", "b"}

    account(sim)
    await agent.reported(generation=2, result="succeeded")

    assert names(sim) == set()


@pytest.mark.parametrize("made_by", ["owner", "fleet"])
async def test_what_lies_outside_the_fences_is_refused_whole(pen, sim, made_by):
    """O4: the owner's fence holds for apps with the agent's rights; the fleet's comes signed with the release."""
    fence = {"namespaces": ["web"], "clusterScoped": False}
    policy = LocalPolicy(Fence(("web",), ())) if made_by == "owner" else LocalPolicy()
    options = {**OPTIONS, "fence": fence} if made_by == "fleet" else OPTIONS
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    async with running(replace(pen.settings(sim), policy=policy)):
        await pen.release("web", [config_map("a"), config_map("b", "kube-system"), role], options=options)
        report = await pen.reported(generation=1)

    assert report.result == "refused"
    assert "ConfigMap:kube-system/b" in report.message
    assert "ClusterRole:/r" in report.message
    assert not sim.store.list("v1", "ConfigMap", "web")
