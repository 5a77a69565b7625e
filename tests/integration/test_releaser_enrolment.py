"""Tokens, proofs, claims and labels: over a real database, without a bus."""

from base64 import b64decode, urlsafe_b64decode

import pytest
from nacl.public import PrivateKey, SealedBox

from services.releaser.enrolling import renew_soon, renewed
from services.releaser.tables import clusters
from shared.bus.claims import claims_of
from shared.bus.identities import sign_with_seed
from shared.core.canonical import decode
from shared.messages.releases import Membership
from tests.support.releaser import fleet, rendered
from tests.support.releaser_hub import Agent

FLEET = fleet({"c1": {"env": "dev"}}, accept=("region",), approve=("env",))


async def invited(registry, cluster, **arguments):
    """Return the agent that a cluster's fresh token is for, and the token's secret."""
    key = PrivateKey.generate()
    fact = await registry.command("cluster-add", cluster=cluster, reply_key=bytes(key.public_key).hex(), **arguments)
    text = SealedBox(key).decrypt(b64decode(fact.data["result"]["sealed"])).decode()
    token = decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return Agent(None, cluster, token), token["secret"]


async def one(registry, cluster):
    (row,) = await registry.rows(clusters, clusters.c.cluster == cluster)
    return row


async def test_a_token_names_hub_root_and_cluster_and_no_table_holds_its_secret(registry, tmp_path):
    """I9."""
    agent, secret = await invited(registry, "c1")

    assert (agent.token["hub"], agent.token["root"]) == ("http://hub", registry.parts.keys.hub)
    written = b"".join(file.read_bytes() for file in tmp_path.glob("releaser.db*"))
    assert secret.encode() not in written


async def test_a_token_that_is_too_late_is_refused(registry):
    agent, secret = await invited(registry, "c1", ttl_s=60)
    registry.clock.pass_(seconds=61)

    assert (await registry.command("enrol", **agent.enrolment(secret))).data["code"] == "enrol.token-expired"


async def test_an_enrolment_that_is_delivered_twice_is_answered_alike(registry):
    agent, secret = await invited(registry, "c1")
    asked = agent.enrolment(secret)
    first = await registry.command("enrol", "once", **asked)
    second = await registry.command("enrol", "once", **asked)

    assert first == second
    claims = claims_of(first.data["result"]["user_jwt"])
    assert (claims["sub"], claims["nats"]["tags"]) == (agent.public, ["cluster:c1"])


async def test_one_kubernetes_cluster_joins_under_one_name(registry):
    agent, secret = await invited(registry, "c1")
    await registry.command("enrol", **agent.enrolment(secret))
    other, secret = await invited(registry, "c2")
    answer = await registry.command("enrol", **{**other.enrolment(secret), "uid": agent.uid})

    assert answer.data["code"] == "enrol.uid-taken"


async def test_claims_count_as_the_fleet_says(registry):
    await registry.take(rendered(1, {}, part=FLEET, apps={}))
    agent, secret = await invited(registry, "c2")
    claims = {"region": "eu", "env": "prod", "other": "x"}
    await registry.command("enrol", **agent.enrolment(secret, claims=claims))
    row = await one(registry, "c2")
    assert (row["labels"], row["pending"]) == ({"region": "eu"}, {"env": "prod"})

    stale = await registry.command("cluster-approve", cluster="c2", claims={"env": "dev"})
    assert stale.data["code"] == "cluster.claims-changed"

    assert (await registry.command("cluster-approve", cluster="c2", claims={"env": "prod"})).data["ok"]
    row = await one(registry, "c2")
    assert (row["labels"], row["origins"]["env"]) == ({"region": "eu", "env": "prod"}, "claim")
    assert "render" in {command.verb for command in await registry.asked_poller()}


async def test_an_agent_that_claims_more_in_its_status_does_not_relabel_itself(registry):
    await registry.take(rendered(1, {}, part=FLEET, apps={}))
    agent, secret = await invited(registry, "c1")
    await registry.command("enrol", **agent.enrolment(secret))
    await registry.status("c1", (1, 1), claims={"env": "prod"}, uid=agent.uid)

    row = await one(registry, "c1")
    assert (row["labels"], row["pending"], row["claims"]) == ({"env": "dev"}, {}, {"env": "prod"})


async def test_a_status_from_another_kubernetes_cluster_quarantines(registry):
    agent, secret = await invited(registry, "c1")
    await registry.command("enrol", **agent.enrolment(secret))
    await registry.status("c1", (1, 1), uid="another")

    assert (await one(registry, "c1"))["membership"] == Membership.QUARANTINED


async def test_a_cluster_is_added_like_another(registry):
    await registry.take(rendered(1, {}, part=FLEET, apps={}))
    await invited(registry, "c2", like="c1", labels={"tier": "1"})

    assert (await one(registry, "c2"))["labels"] == {"env": "dev", "tier": "1"}


async def test_a_credential_is_renewed_by_its_key_and_in_time_by_an_instruction(registry):
    agent, secret = await invited(registry, "c1")
    await registry.command("enrol", **agent.enrolment(secret))
    proof = sign_with_seed(agent.seed, b"towline-renew:c1:n").hex()
    asked = {"cluster": "c1", "public_key": agent.public, "nonce": "n", "proof": proof, "uid": agent.uid}
    assert (await registry.command("renew", **asked)).data["ok"]
    assert (await registry.command("renew", **{**asked, "nonce": "m"})).data["code"] == "enrol.proof"

    assert await instructed(registry) == []
    registry.clock.pass_(hours=13)
    assert await instructed(registry) == ["c1"]
    assert await instructed(registry) == ["c1"], "an agent that missed it is told again"

    async with registry.store.deciding() as tx:
        await renewed(tx, "c1", "renew-2026-11-25T01:00:01.000Z")
    assert await instructed(registry) == []


async def instructed(registry):
    async with registry.store.deciding() as tx:
        await renew_soon(tx, registry.parts)
        return [cluster for cluster, _ in tx.instructions]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"cluster": "hub"}, "cluster.name"),
        ({"cluster": "C1"}, "cluster.name"),
        ({"cluster": "c1", "labels": {"cluster": "x"}}, "cluster.labels"),
        ({"cluster": "c1", "like": "nobody"}, "cluster.unknown"),
        ({"cluster": "c1", "ttl_s": 0}, "command.argument"),
        ({"cluster": "c1", "reply_key": "xyz"}, "command.argument"),
    ],
)
async def test_a_cluster_that_cannot_be_added_is_refused_with_the_reason(registry, arguments, code):
    answer = await registry.command("cluster-add", **{"reply_key": "0" * 64, **arguments})

    assert answer.data["code"] == code
    assert await registry.rows(clusters) == []
