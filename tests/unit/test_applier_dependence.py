"""Apps that depend on each other: whose turn it is, coming and going."""

import asyncio

import pytest

from services.applier.dependence import Delay, Neighbour, delay
from services.applier.options import depends_on
from services.applier.turns import AT_ONCE, Turns
from shared.core.cycles import cycle_of


def app(*needs, lacks="", removed=False):
    return Neighbour(needs, removed, lacks)


def gone(*needs, lacks=""):
    return app(*needs, lacks=lacks, removed=True)


@pytest.mark.parametrize(
    ("roster", "told"),
    [
        ({"api": app("db"), "db": app()}, ""),
        ({"api": app("db"), "db": app(lacks="InProgress")}, "waiting for db: InProgress"),
        (
            {"api": app("db", "log"), "db": app(lacks="Failed"), "log": app(lacks="Applying")},
            "waiting for db: Failed, log: Applying",
        ),
        ({"api": app("db")}, ""),
        ({"api": app("db"), "db": gone(lacks="Removed")}, ""),
        ({"api": app(), "db": app(lacks="Failed")}, ""),
        ({"api": gone(), "web": gone("api", lacks="Removed")}, "waiting for web: goes first"),
        ({"api": gone(), "web": gone("api")}, ""),
        ({"api": gone(), "web": app("api")}, ""),
        ({"api": gone("web"), "web": gone("api", lacks="Removed")}, ""),
    ],
    ids=[
        "well",
        "on-its-way",
        "several",
        "not-there",
        "leaves",
        "unrelated",
        "dependent-goes-first",
        "dependent-is-gone",
        "dependent-stays",
        "leave-in-a-circle",
    ],
)
def test_an_app_waits_for_what_it_depends_on_c10(roster, told):
    found = delay("api", roster)

    assert (found.message if found else "") == told


def test_a_circle_is_named_and_waited_for_by_nobody_in_it_c10():
    roster = {"a": app("b"), "b": app("c"), "c": app("a"), "d": app("a", lacks="dependency.cycle")}
    way = Delay("dependency.cycle", "apps depend on each other: b -> c -> a -> b", frozenset("abc"), refused=True)

    assert delay("b", roster) == way
    assert delay("d", roster) is None
    assert delay("e", {"e": app("e")}).message == "apps depend on each other: e -> e"


def test_the_shortest_way_back_is_found_whatever_else_there_is():
    edges = {"a": ["b", "c"], "b": ["d"], "c": ["a"], "d": ["a"], "e": ["a"]}

    assert cycle_of("a", edges) == ("a", "c", "a")
    assert cycle_of("d", edges) == ("d", "a", "b", "d")
    assert cycle_of("e", edges) == ()


def test_what_is_no_list_of_names_is_no_dependency():
    assert [depends_on({"dependsOn": each}) for each in (["a"], "a", [1], {"a": 1}, None)] == [("a",), (), (), (), ()]


async def test_a_few_apps_are_at_work_at_once_and_who_waits_gives_way_c10():
    """C10: a turn that is given away by several parts of one app's work is given away once."""
    turns, going, done = Turns(), asyncio.Event(), []

    async def work(name, *, wait=False):
        async with turns.turn() as turn:
            done.append(name)
            if wait:
                async with asyncio.TaskGroup() as parts:
                    for _ in range(3):
                        parts.create_task(stand_aside(turn))
            else:
                await going.wait()

    async def stand_aside(turn):
        async with turn.aside():
            await going.wait()

    async with asyncio.TaskGroup() as apps:
        for number in range(AT_ONCE):
            apps.create_task(work(f"busy-{number}", wait=not number))
        for number in range(3):
            apps.create_task(work(f"next-{number}"))
        for _ in range(20):
            await asyncio.sleep(0)

        assert done == ["busy-0", "busy-1", "busy-2", "busy-3", "next-0"]

        going.set()

    assert len(done) == AT_ONCE + 3
