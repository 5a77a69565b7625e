"""Agents' credentials: issued without the server, bound to one cluster, renewed without a gap, revoked at once."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared import subjects
from shared.bus.accounts import update_account
from shared.bus.claims import agents_claims, claims_of, minted, user_claims
from shared.bus.connection import Bus, BusRefusedError, BusUnavailableError, Credentials, NotPermittedError
from shared.bus.identities import BusKeys, IdentityError, agent_jwt, new_user_seed
from shared.bus.keys import new_seed, public_of
from shared.bus.permissions import Permissions, program_permissions
from tests.support.bus import QUICK, running_bus

FOREVER = 2**40


async def accepted(server, credentials):
    """Whether the bus lets these credentials in and shows them their desired state."""
    async with server.bus(credentials, replace(QUICK, answer_s=0.5)) as bus:
        try:
            return await bus.request(subjects.get("c1"), timeout_s=0.5) is None
        except (BusUnavailableError, NotPermittedError):
            return False


async def test_a_revoked_agent_is_cut_off_at_once_and_stays_out_over_a_restart(tmp_path):
    """Account update by the releaser's second credential; others stay connected."""
    async with running_bus(tmp_path) as server:
        banned = server.agent("c1")
        key = claims_of(banned.jwt)["sub"]
        async with server.bus(banned) as agent, server.bus("c2") as other:
            looks, others = agent.connections(), other.connections()
            assert (await anext(looks), await anext(others)) == (1, 1)
            account = server.keys.agents_account_jwt({key: FOREVER})

            await update_account([server.url], server.credentials("system"), account)

            async with asyncio.timeout(20):
                while agent.connected:
                    await agent.pause(0.02)
            assert await other.request(subjects.get("c2")) is None
        assert not await accepted(server, banned)
        assert await accepted(server, server.agent("c1"))
    async with running_bus(tmp_path) as server:
        assert not await accepted(server, banned)
        assert await accepted(server, server.agent("c1"))


async def test_an_account_that_is_not_the_operators_gives_nobody_access_and_is_gone_after_a_restart(tmp_path):
    """The server stores such an update; it must neither be obeyed nor outlive the server."""
    stranger = new_seed("operator")
    async with running_bus(tmp_path) as server:
        claims = agents_claims(server.keys.public("hub"), public_of(new_seed("account")), {})
        account = minted(stranger, server.keys.agents_account, claims, name="AGENTS", iat=int(time.time()))
        await update_account([server.url], server.credentials("system"), account)
    async with running_bus(tmp_path) as server:
        assert await accepted(server, server.agent("c1"))


async def test_what_is_no_account_is_refused(bus_server):
    with pytest.raises(BusRefusedError, match="does not take the account"):
        await update_account([bus_server.url], bus_server.credentials("system"), "nonsense")


async def test_renewed_credentials_are_taken_without_losing_a_message(bus_server, connect):
    releaser = await connect("releaser")
    current = bus_server.agent("c1")
    numbers = range(200)

    async with (
        asyncio.timeout(60),
        Bus.connect([bus_server.url], lambda: current, name="c1", pace=QUICK) as agent,
        agent.subscribe(subjects.notify("c1")) as hints,
        asyncio.TaskGroup() as group,
    ):
        looks = agent.connections()
        await anext(looks)

        async def keep_publishing():
            for number in numbers:
                await releaser.publish(subjects.desired("c1"), str(number).encode())

        group.create_task(keep_publishing())
        heard = {(await anext(hints)).sequence}
        current = bus_server.agent("c1")
        agent.renew()
        await anext(looks)
        while len(heard) < len(numbers):
            heard.add((await anext(hints)).sequence)

    assert heard == set(range(1, 201))


async def test_renewal_loses_no_work(bus_server, connect):
    """Messages that the old connection pulled are handled or handed back, not left until the server loses patience."""
    renderer, current, handled = await connect("renderer"), bus_server.credentials("auditor"), set()
    numbers = {str(number).encode() for number in range(100)}

    async with asyncio.timeout(40), Bus.connect([bus_server.url], lambda: current, name="auditor", pace=QUICK) as bus:

        async def handle(delivery):
            nonlocal current
            handled.add(delivery.data)
            if len(handled) % 20 == 0:
                current = replace(current, jwt=stamped(bus_server, len(handled)))
                bus.renew()
            if handled == numbers:
                bus.stop_intake()

        async with asyncio.TaskGroup() as group:
            group.create_task(bus.consume(subjects.Durable(subjects.FACTS, "auditor"), handle, workers=4))
            for number in numbers:
                await renderer.publish(subjects.fact("renderer", "x"), number)

    assert handled == numbers


def stamped(server, number):
    """A JWT of the auditor that differs from all others."""
    claims = user_claims(program_permissions("auditor"))
    issued = int(time.time()) - number
    return minted(server.keys.seeds["hub"], server.keys.public("auditor"), claims, name="auditor", iat=issued)


async def test_an_expired_credential_is_replaced_by_a_fresh_one(bus_server):
    """The server closes the connection at the expiry; nats-py alone would stay closed for good."""
    seed, public = new_user_seed()
    issued = [bus_server.agent("c1", seed, public, hours=1.2 / 3600)]

    def credentials() -> Credentials:
        return issued[-1]

    async with (
        asyncio.timeout(60),
        Bus.connect([bus_server.url], credentials, name="c1", pace=replace(QUICK, liveness_s=600)) as agent,
    ):
        looks = agent.connections()
        await anext(looks)
        issued.append(bus_server.agent("c1", seed, public))
        assert await anext(looks) == 2
        assert await agent.request(subjects.get("c1")) is None


async def test_credentials_reach_no_further_than_their_one_cluster(bus_server):
    keys, (seed, public) = bus_server.keys, new_user_seed()
    now = int(time.time())

    def of(tags, **more):
        claims = {"type": "user", "issuer_account": keys.agents_account, "tags": tags, **more}
        jwt = minted(keys.agents_signing_seed, public, claims, name="evil", iat=now, exp=now + 3600)
        return Credentials(jwt, seed, "_INBOX_c1")

    assert await accepted(bus_server, of(["cluster:c1"]))
    for tags in ([], ["cluster:*"], ["cluster:>"], ["cluster:c2"], ["other:c1"]):
        assert not await accepted(bus_server, of(tags)), tags
    # Permissions of its own, beside the signing key's template.
    assert not await accepted(bus_server, of(["cluster:c1"], **user_claims(Permissions((">",), (">",)))))


async def test_other_peoples_keys_open_nothing(bus_server, tmp_path):
    foreign = BusKeys.load_or_make(tmp_path / "foreign")
    own, _ = new_user_seed()
    agent = bus_server.agent("c1")

    assert not await accepted(bus_server, foreign.program_credentials("steward"))
    # A stolen JWT without its key.
    assert not await accepted(bus_server, replace(agent, seed=own))


def test_no_credential_is_issued_for_what_is_not_one_cluster_and_one_key():
    """S15: `c1>`, `*` or a dot would widen the permissions."""
    _, public = new_user_seed()
    account, signing = public_of(new_seed("account")), new_seed("account")
    times = {"issued": datetime.now(UTC), "expires": datetime.now(UTC) + timedelta(hours=1)}

    for cluster in ("*", ">", "c1.x", "c1>", "C1", "", "hub", "shared", "a b"):
        with pytest.raises(IdentityError):
            agent_jwt(cluster, public, signing_seed=signing, account=account, **times)
    for key in ("", "U", account, public[:-1] + ("A" if public[-1] != "A" else "B"), public.lower()):
        with pytest.raises(IdentityError):
            agent_jwt("c1", key, signing_seed=signing, account=account, **times)


async def test_a_client_that_is_refused_says_so_and_waits_for_a_new_credential(bus_server):
    """No hot loop: the next attempt comes a minute later, or when somebody has a new credential."""
    strangers = new_user_seed()
    known = [bus_server.agent("c1", *strangers, hours=-1)]
    asked = []

    def credentials() -> Credentials:
        asked.append(known[-1])
        return known[-1]

    async with (
        asyncio.timeout(60),
        Bus.connect([bus_server.url], credentials, name="c1", pace=replace(QUICK, refused_s=3600)) as agent,
    ):
        while not agent.refused:  # noqa: ASYNC110 - nobody tells of a connection that was not made
            await asyncio.sleep(0.01)
        known.append(bus_server.agent("c1", *strangers))
        agent.renew()
        await agent.wait_connected()

        assert not agent.refused
        assert len(asked) < 10


async def test_a_bus_that_moved_is_found_at_its_new_place(bus_server):
    credentials = bus_server.credentials("poller")
    slow = replace(QUICK, reconnect_s=3600)
    async with (
        asyncio.timeout(60),
        Bus.connect(["nats://127.0.0.1:9"], lambda: credentials, name="poller", pace=slow) as bus,
    ):
        bus.move([bus_server.url])
        await bus.wait_connected()

        assert await bus.publish(subjects.render("fleet"), b"") == 1
