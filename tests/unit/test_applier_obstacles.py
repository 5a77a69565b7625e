"""What an app that failed for good looks out for (E6)."""

import pytest

from services.applier.obstacles import MOST, Obstacle, obstacles
from services.applier.reports import ObjectFailure

RBAC = "rbac.authorization.k8s.io"
DEFINITIONS = Obstacle("apiextensions.k8s.io", "CustomResourceDefinition")
CUSTOM = "example.org/Widget:web/w"


def found(code, key="apps/Deployment:web/d"):
    return obstacles([ObjectFailure(key, code, "")])


@pytest.mark.parametrize(
    ("code", "key", "expected"),
    [
        ("NamespaceMissing", "/ConfigMap:web/c", {Obstacle("", "Namespace", name="web")}),
        ("UnknownKind", CUSTOM, {DEFINITIONS}),
        ("Schema", CUSTOM, {DEFINITIONS}),
        ("Schema", "apps/Deployment:web/d", set()),
        ("Conflict", CUSTOM, {Obstacle("example.org", "Widget", "web", "w")}),
        ("Conflict", "/Namespace:/web", {Obstacle("", "Namespace", "", "web")}),
        ("Immutable", "batch/Job:web/j", {Obstacle("batch", "Job", "web", "j")}),
        ("Forbidden", "/Namespace:/web", {Obstacle(RBAC, "ClusterRole"), Obstacle(RBAC, "ClusterRoleBinding")}),
        ("TooLarge", "/ConfigMap:web/c", set()),
        ("HookFailed", "batch/Job:web/j", set()),
    ],
)
def test_what_may_be_in_the_way(code, key, expected):
    """E6: rights, definitions, namespaces, and whoever is in conflict; not what only a release can mend."""
    assert found(code, key) == expected


def test_a_missing_right_may_be_granted_in_the_namespace_or_everywhere():
    kinds = {(each.kind, each.namespace) for each in found("Forbidden")}

    assert kinds == {("Role", "web"), ("RoleBinding", "web"), ("ClusterRole", ""), ("ClusterRoleBinding", "")}


def test_a_denial_may_go_with_a_webhook_or_a_policy():
    kinds = {each.kind for each in found("Webhook")}

    assert {"ValidatingWebhookConfiguration", "MutatingAdmissionPolicyBinding"} < kinds
    assert {each.group for each in found("Webhook")} == {"admissionregistration.k8s.io"}


def test_one_app_looks_out_for_few_things():
    failures = [ObjectFailure(f"apps/Deployment:web/d{number}", "Conflict", "") for number in range(100)]

    assert len(obstacles(failures)) == MOST
