"""Each call of a delivery in turn is the one at which something goes wrong, in simulated time."""

import pytest

from services.kubesim.answers import RefusedError
from tests.support.agents import config_map
from tests.support.direct import simulated_time
from tests.support.lifetimes import World

OVERLOADED = RefusedError(429, "Too many requests, please try again later.", headers={"Retry-After": "2"}, plain=True)


def bundle(number, size=35, others=5):
    """Return objects of which each release changes `size`, and has others instead of the last one's others."""
    fixed = [config_map(f"m{index:02}", "shop", a=str(number)) for index in range(size)]
    return [*fixed, *(config_map(f"r{number % 2}-{index}", "shop") for index in range(others))]


def found(world):
    return {each["metadata"]["name"]: each["data"]["a"] for each in world.store.list("v1", "ConfigMap", "shop")}


async def delivered(world, number, **sizes):
    """Release, and let time pass until the release has come to an end."""
    world.release("web", bundle(number, **sizes))
    for _ in range(30):
        await world.passes(10.0)
        if world.life is None:
            world.start()
        if not world.unfinished():
            return


async def begun(**sizes):
    """Return a world whose first release was delivered, and where somebody else has an object."""
    world = World()
    world.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.put_stranger(config_map("stranger", "shop", a="theirs"))
    world.start()
    await delivered(world, 1, **sizes)
    return world


def results(world, number):
    return [summary.result for _, generation, summary in world.told if generation == number]


def check(world, number, **sizes):
    """Hold the cluster to the release, and everything that was asked to what was allowed."""
    wanted = {each["metadata"]["name"]: each["data"]["a"] for each in bundle(number, **sizes)}
    assert not world.wrongs
    assert found(world) == wanted | {"stranger": "theirs"}
    assert all(world.live(key) == before for key, before in world.strangers.items())
    assert set(results(world, number)) == {"succeeded"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "killed before"])
def test_a_kill_at_any_call_of_40_objects_is_repaired_by_the_next_agent(how):
    """A02, M3: every call in turn, its answer lost or itself: the same end, one result, no wrong delete."""

    async def story():
        world, call = await begun(), 0
        while True:
            number = world.releases["web"].generation + 1
            await world.kill()
            world.start()
            world.fates = {call: how}
            await delivered(world, number)
            check(world, number)
            if world.fates:
                return call
            call += 1

    with simulated_time() as run:
        assert run(story()) > 80


TROUBLES = {
    "overloaded": OVERLOADED,
    "not ready": RefusedError(429, "storage is (re)initializing", headers={"Retry-After": "1"}),
    "a webhook is down": RefusedError(500, "failed calling webhook", reason="InternalError"),
    "starting": RefusedError(503, "service unavailable", plain=True),
    "reset": "lost",
    "cut in the answer": "unanswered",
    "no answer": "silent",
}
SMALL = {"size": 3, "others": 2}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_trouble_at_any_call_delays_and_fails_nothing(trouble):
    """A27, E4, N4, N7: each call in turn is refused, cut or never answered; the release succeeds all the same."""

    async def story():
        world, call = await begun(**SMALL), 0
        while True:
            number = world.releases["web"].generation + 1
            world.fates = {call: trouble}
            await delivered(world, number, **SMALL)
            check(world, number, **SMALL)
            if world.fates:
                return call
            call += 1

    with simulated_time() as run:
        assert run(story()) > 10


@pytest.mark.parametrize("trouble", [trouble for trouble in TROUBLES if trouble != "no answer"])
def test_an_api_server_in_trouble_is_asked_politely(trouble):
    """A27, N1, N3: whatever it says for two minutes, it is asked about once a second at most, and then all is well."""

    async def story():
        world = await begun(**SMALL)
        world.fates = dict.fromkeys(range(100_000), TROUBLES[trouble])
        before = len(world.log)
        world.release("web", bundle(2, **SMALL))
        await world.passes(120.0)
        asked, world.fates = len(world.log) - before, {}
        for _ in range(10):
            await world.passes(30.0)
        check(world, 2, **SMALL)
        return asked

    with simulated_time() as run:
        assert run(story()) < 150


@pytest.mark.parametrize("code", [403, 422])
def test_what_is_refused_for_good_is_the_one_failure_of_its_run(code):
    """A27, A07, E7, F2: each object in turn is refused: it is named, the others are applied, nothing is deleted."""
    refusal = RefusedError(code, 'configmaps "x" is forbidden: exceeded quota' if code == 403 else "is invalid")

    async def story(name):
        world = await begun(**SMALL)
        path = f"/api/v1/namespaces/shop/configmaps/{name}"
        world.refuses = lambda request: refusal if (request.verb, request.path) == ("PATCH", path) else None
        world.release("web", bundle(2, **SMALL))
        await world.passes(15.0)
        summary = world.told[-1][2]
        there = set(found(world))
        world.refuses = lambda _: None
        for _ in range(6):
            await world.passes(60.0)
        assert not world.wrongs
        assert set(found(world)) == {"stranger"} | {each["metadata"]["name"] for each in bundle(2, **SMALL)}
        return summary, there

    for name in ("m00", "m01", "m02", "r0-0", "r0-1"):
        with simulated_time() as run:
            summary, there = run(story(name))
        assert summary.result == "partial"
        assert [each.key for each in summary.failures] == [f"/ConfigMap:shop/{name}"]
        assert {"r1-0", "r1-1"} < there


def writes(world, since):
    return [path for verb, path in world.log[since:] if verb != "GET" and "leases" not in path]


def test_an_hour_without_a_change_is_an_hour_without_a_write():
    """A28, D2: a whole verification included; then a change by others is put back with one write."""

    async def story():
        world = await begun(**SMALL)
        quiet = len(world.log)
        await world.passes(4500.0)
        changed = len(world.log)
        world.store.patch(config_map("m00", "shop"), {"data": {"a": "theirs"}}, manager="injector")
        await world.passes(60.0)
        return writes(world, quiet)[: len(writes(world, quiet)) - len(writes(world, changed))], writes(world, changed)

    with simulated_time() as run:
        idle, healing = run(story())
    assert idle == []
    assert healing.count("/api/v1/namespaces/shop/configmaps/m00") == 1


def test_a_field_that_somebody_else_insists_on_is_corrected_three_times_and_left():
    """A28, I9: not a fourth time within the minute; the app says so, and tries again after it."""

    async def story():
        world = await begun(**SMALL)
        before = len(world.log)
        for _ in range(20):
            world.store.patch(config_map("m00", "shop"), {"data": {"a": "theirs"}}, manager="stubborn")
            await world.passes(2.0)
        during = writes(world, before), world.targets["web"].standing.reason, found(world)["m00"]
        await world.passes(60.0)
        return *during, found(world)["m00"]

    with simulated_time() as run:
        written, reason, left, later = run(story())
    assert written.count("/api/v1/namespaces/shop/configmaps/m00") == 3
    assert (reason, left, later) == ("Contested", "theirs", "1")


def test_a_run_that_met_a_lapsed_lease_is_begun_anew_and_is_no_failure():
    """A29, M4: the lease is renewed late; what the fence stopped says nothing about the objects."""
    renewals = []
    once = {"m00": RefusedError(429, "not ready", headers={"Retry-After": "12"}), "m01": "slow"}

    def refuses(request):
        match request.verb, request.path.rpartition("/")[2]:
            case "PUT", "towline-agent" if not renewals:
                renewals.append(request)
                return "slow"
            case "PATCH", name:
                return once.pop(name, None)
        return None

    async def story():
        world = await begun(**SMALL)
        world.refuses = refuses
        while not renewals:
            await world.passes(0.1)
        world.release("web", bundle(2, **SMALL))
        await world.passes(60.0)
        check(world, 2, **SMALL)

    with simulated_time() as run:
        run(story())
