"""What SOPS encrypted, from git to a cluster: opened by the agent alone, with keys of its cluster."""

from base64 import b64encode

import orjson
import pyrage
import pytest_asyncio
import structlog

from tests.support.agents import OPTIONS, config_map, eventually, running
from tests.support.rendering import kustomize
from tests.support.sops import SECRET, by_age, delivered, keys_secret

CANARY = "c4n4ry"
OPEN_MAP = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: open, namespace: web}}\ndata:\n  text: {CANARY}-map\n"
KUSTOMIZATION = "resources: [secret.yaml]\nnamespace: web\nnamePrefix: prod-\ncommonLabels: {tier: gold}\n"


def coded(text):
    return b64encode(text.encode()).decode()


def data_of(sim, name="login", kind="Secret"):
    found = sim.store.get("v1", kind, "web", name)
    return found and found.get("data")


@pytest_asyncio.fixture
async def opening(pen, sim):
    """An agent with the setting that names its keys."""
    for name in ("towline", "web"):
        sim.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    async with running(pen.settings(sim, sops_secret="sops-keys")):
        yield pen


async def test_a_secret_goes_from_git_through_kustomize_into_the_cluster(opening, sim, sops, age_key, engines):
    sim.store.apply(keys_secret(a_agekey=str(age_key).encode()))
    text = sops.encrypted(SECRET.replace("namespace: web", "namespace: other"), *by_age(age_key))

    (manifest,) = await engines.render(kustomize({"kustomization.yaml": KUSTOMIZATION, "secret.yaml": text}))
    await opening.release("web", [manifest])
    await opening.reported(generation=1, result="succeeded")

    found = sim.store.get("v1", "Secret", "web", "prod-login")
    assert found["data"] == {"user": coded("admin"), "password": coded("c4n4ry-{number}")}
    assert found["metadata"]["labels"]["tier"] == "gold"
    assert "sops" not in found


async def test_without_its_key_an_object_fails_alone_until_the_key_is_there(opening, sim, sops, age_key):
    """P5, E6: nobody restarts the agent, and what ran before stays as it is."""
    secret = delivered(sops.encrypted(SECRET, *by_age(age_key)))
    await opening.release("web", [*secret, config_map("plain")])
    report = await opening.reported(generation=1, result="partial")

    (failure,) = report.failures
    assert (failure.key, failure.code) == ("/Secret:web/login", "Encrypted")
    assert failure.message == "apps/web/secret.yaml is encrypted by SOPS: there is no Secret towline/sops-keys"
    assert "NAME.agekey" in failure.hint
    assert data_of(sim, "plain", "ConfigMap") == {"a": "1"}
    assert data_of(sim) is None

    sim.store.apply(keys_secret(a_agekey=str(pyrage.x25519.Identity.generate()).encode()))
    await opening.until(lambda: [each for each in opening.reports if f"wants age {age_key.to_public()}" in str(each)])
    sim.store.apply(keys_secret(b_agekey=str(age_key).encode()))
    await eventually(lambda: data_of(sim) is not None)


async def test_keys_are_read_anew_at_each_run(opening, sim, sops, age_key):
    sim.store.apply(keys_secret(a_agekey=str(age_key).encode()))
    await opening.release("web", delivered(sops.encrypted(SECRET, *by_age(age_key))))
    await opening.reported(generation=1, result="succeeded")

    rotated = pyrage.x25519.Identity.generate()
    sim.store.apply(keys_secret(a_agekey=str(rotated).encode()))
    await opening.release("web", delivered(sops.encrypted(SECRET.replace("admin", "root"), *by_age(rotated))))
    await opening.reported(generation=2, result="succeeded")

    assert data_of(sim)["user"] == coded("root")


async def test_an_agent_without_the_setting_says_how_to_set_it(agent, sim, sops, age_key):
    await agent.release("web", delivered(sops.encrypted(SECRET, *by_age(age_key))))
    report = await agent.reported(generation=1)

    assert "this agent was given no keys" in report.failures[0].message
    assert "TOWLINE_AGENT_SOPS_SECRET" in report.failures[0].hint


async def test_an_app_with_an_account_has_the_keys_of_its_own_namespace(opening, sim, sops, age_key):
    """O1: whoever brings another tenant's file does not get it opened, for the keys are read as the account."""
    metadata = {"name": "deployer", "namespace": "web"}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}
    sim.store.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    sim.store.apply({**rbac, "kind": "Role", "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"}
    sim.store.apply(
        {**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": [{"kind": "ServiceAccount", **metadata}]}
    )
    sim.store.apply(keys_secret(a_agekey=str(age_key).encode()))
    await opening.release(
        "web", delivered(sops.encrypted(SECRET, *by_age(age_key))), options={**OPTIONS, "runAs": "web/deployer"}
    )
    report = await opening.reported(generation=1)

    assert "there is no Secret web/sops-keys" in report.failures[0].message
    sim.store.apply(keys_secret(namespace="web", a_agekey=str(age_key).encode()))
    await opening.reported(generation=1, result="succeeded")
    assert data_of(sim)["user"] == coded("admin")
    asked = [each for each in sim.requests if each.path.endswith("/secrets/sops-keys")]
    assert {each.impersonates for each in asked} == {"system:serviceaccount:web:deployer"}


async def test_nothing_that_was_opened_is_told(opening, sim, sops, age_key):
    """S13, A19, P1, P3: neither in reports and logs nor in differences, whatever the kind; digests are keyed."""
    sim.store.apply(keys_secret(a_agekey=str(age_key).encode()))
    objects = [
        *delivered(sops.encrypted(SECRET, *by_age(age_key))),
        *delivered(sops.encrypted(OPEN_MAP, *by_age(age_key))),
    ]
    with structlog.testing.capture_logs() as lines:
        await opening.release("web", objects)
        await opening.reported(generation=1, result="succeeded")
        assert data_of(sim, "open", "ConfigMap") == {"text": f"{CANARY}-map"}
        for name, kind in (("login", "Secret"), ("open", "ConfigMap")):
            found = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "web"}}
            sim.store.patch(found, {"data": {"password": coded("x"), "text": "eA=="}}, manager="kubectl-edit")
        await opening.reported(trigger="drift")
        for verb in ("objects", "diff"):
            await opening.answered(await opening.instruct(verb, app="web"))

    said = [each.to_bytes().decode() for each in (*opening.reports, *opening.answers, opening.status)]
    said.append(orjson.dumps(lines, default=str).decode())
    inventory = sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")
    said.append(str(inventory))
    assert any("ConfigMap:web/open" in each for each in said)
    for text in said:
        assert CANARY not in text
        assert coded(f"{CANARY}-{{number}}") not in text
