"""The owner's policy as a file."""

import pytest

from services.applier.local_policy import PolicyError, policy_of
from services.applier.settings import SettingsError, settings_of
from services.applier.tenancy import Fence, LocalPolicy, ServiceAccount

WHOLE = """
runAs: apps/deployer
privileged: [platform, "infra-*"]
accounts: ["*/deployer"]
namespaces: ["team-*"]
clusterScoped: [Namespace]
denied: ["rbac.authorization.k8s.io/*"]
"""


def test_a_policy_says_who_may_do_what():
    """O4: as a file, which the agent's owner keeps and the hub never sees."""
    assert policy_of(WHOLE.encode(), "p.yaml") == LocalPolicy(
        fence=Fence(("team-*",), ("Namespace",), ("rbac.authorization.k8s.io/*",)),
        run_as=ServiceAccount("apps", "deployer"),
        privileged=("platform", "infra-*"),
        accounts=("*/deployer",),
    )


def test_with_a_policy_nobody_has_the_agents_rights_unasked():
    """O1: without any file everything is as the agent's own rights go; a file grants what it says and no more."""
    assert policy_of(b"denied: [Secret]", "p.yaml") == LocalPolicy(
        fence=Fence(denied=("Secret",)), privileged=(), accounts=None
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "one mapping"),
        ("- a", "one mapping"),
        ("a: 1\n---\nb: 2", "one mapping"),
        ("privilegd: [a]", "'privilegd' is no key"),
        ("namespaces: team", "namespaces is no list"),
        ("denied: [1]", "denied is no list"),
        ("runAs: deployer", "is not namespace/name"),
        ("a: b: c", "p.yaml"),
    ],
)
def test_half_a_policy_is_none(text, told):
    """O4: a misspelt fence would be an open one."""
    with pytest.raises(PolicyError, match=told):
        policy_of(text.encode(), "p.yaml")


def test_the_settings_name_the_file(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(WHOLE)
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "TOWLINE_AGENT_POLICY": str(file)}

    assert settings_of(environment).policy.privileged == ("platform", "infra-*")

    file.write_text("privilegd: []")
    with pytest.raises(SettingsError, match="privilegd"):
        settings_of(environment)
    with pytest.raises(SettingsError, match="TOWLINE_AGENT_POLICY: cannot read"):
        settings_of({**environment, "TOWLINE_AGENT_POLICY": str(tmp_path / "absent")})
