"""What a 403 says is missing, and what would give it."""

import pytest
import yaml

from services.applier.errors import Answer, ErrorClass, classify
from services.applier.rights import Right, advice, right_of, snippet
from shared.core.canonical import encode

DEPLOYER = "system:serviceaccount:shop:deployer"
AGENT = "system:serviceaccount:towline:towline-agent"


def refusal(verb="patch", resource="secrets", group="", *, place='in the namespace "web"', user=DEPLOYER, name="s"):
    shown = f"{resource}.{group}" if group else resource
    text = f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}" {place}'
    return f'{shown} "{name}" is forbidden: {text}' if name else f"{shown} is forbidden: {text}"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (refusal(), Right(DEPLOYER, "patch", "secrets", "", "web", "s")),
        (refusal("list", name=""), Right(DEPLOYER, "list", "secrets", "", "web")),
        (
            refusal("create", "deployments/scale", "apps", name="d"),
            Right(DEPLOYER, "create", "deployments/scale", "apps", "web", "d"),
        ),
        (
            refusal("delete", "namespaces", place="at the cluster scope", user="jane", name="n"),
            Right("jane", "delete", "namespaces", "", "", "n"),
        ),
        (refusal() + ': role.rbac.authorization.k8s.io "x" not found', Right(DEPLOYER, "patch", "secrets", "", "web", "s")),
        ('pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged', None),
        ('pods "p" is forbidden: exceeded quota: q', None),
    ],
)  # fmt: skip
def test_who_verb_resource_and_namespace_are_read_from_the_text(text, right):
    """O3: also for kinds of groups, subresources, listings and the cluster's scope."""
    assert right_of(text) == right


def documents(right):
    return list(yaml.safe_load_all(snippet(right)))


def test_the_snippet_gives_the_right_in_its_namespace_to_the_account():
    """O3: what applies an object needs to read it and to make it, too."""
    role, binding = documents(right_of(refusal()))

    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "web")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}]
    assert binding["kind"] == "RoleBinding"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "namespace": "shop", "name": "deployer"}]


def test_the_snippet_of_a_cluster_scoped_right_is_a_cluster_role():
    """O3: and somebody who is no service account is named as a user."""
    role, binding = documents(right_of(refusal("delete", "namespaces", place="at the cluster scope", user="jane")))

    assert (role["kind"], "namespace" in role["metadata"]) == ("ClusterRole", False)
    assert role["rules"][0]["verbs"] == ["get", "delete"]
    assert binding["subjects"][0]["kind"] == "User"


def test_the_snippet_for_a_namespace_is_no_role_inside_it():
    """O3: the API server speaks of the namespace that is to be made, where nothing can be yet."""
    role, _ = documents(right_of(refusal("create", "namespaces", place='in the namespace "shop"', name="shop")))

    assert (role["kind"], role["rules"][0]["resourceNames"]) == ("ClusterRole", ["shop"])


def test_an_impersonation_that_is_refused_is_about_the_agent():
    """O3, O8: the agent lacks the right, and is given it for this one account only."""
    text = refusal("impersonate", "serviceaccounts", place='in the namespace "shop"', user=AGENT, name="deployer")
    failure = classify(Answer(403, encode({"kind": "Status", "reason": "Forbidden", "message": text})))
    role, binding = documents(right_of(text))

    assert failure.error is ErrorClass.IMPERSONATION_FORBIDDEN
    assert failure.hint.startswith("the agent itself lacks the right")
    assert role["rules"][0] == {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "verbs": ["impersonate"],
        "resourceNames": ["deployer"],
    }
    assert binding["subjects"][0]["name"] == "towline-agent"


def test_the_older_right_to_impersonate_is_given_where_the_newer_is_missed():
    """O3: it holds in every version, and for all that the account may do."""
    place = 'in the namespace "shop"'
    text = refusal("impersonate:serviceaccount", "serviceaccounts", "authentication.k8s.io", place=place, name="d")
    role, _ = documents(right_of(text))

    assert role["rules"][0] == {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "verbs": ["impersonate"],
        "resourceNames": ["d"],
    }


def test_constrained_impersonation_is_told_by_its_own_verbs():
    """O3: the newer form names the target's resource, and is given as it is named."""
    role, _ = documents(right_of(refusal("impersonate-on:serviceaccount:patch", "configmaps", user=AGENT)))

    assert role["rules"][0]["verbs"] == ["impersonate-on:serviceaccount:patch"]
    assert "agent itself" in advice(refusal("impersonate-on:serviceaccount:patch", "configmaps", user=AGENT))


def test_the_hint_of_a_403_is_the_snippet():
    """O3: every failure for want of permissions carries it."""
    body = encode({"kind": "Status", "reason": "Forbidden", "message": refusal()})
    failure = classify(Answer(403, body))

    assert failure.error is ErrorClass.FORBIDDEN
    assert "may not patch secrets in web" in failure.hint
    assert "kind: RoleBinding" in failure.hint
