"""How many requests are in flight follows what the API server can take."""

import asyncio

from services.applier.kube.throttle import Throttle


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_an_overload_halves_the_limit_once_for_all_that_was_in_flight():
    """N3."""
    clock = Clock()
    throttle = Throttle(16, clock=clock)
    for _ in range(5):
        throttle.overloaded()
    assert throttle.limit == 8

    clock.now += 2
    throttle.overloaded()

    assert throttle.limit == 4


def test_success_raises_it_by_one_every_ten_seconds_and_never_above_the_first():
    """N3."""
    clock = Clock()
    throttle = Throttle(4, clock=clock)
    throttle.overloaded()
    limits = []
    for _ in range(4):
        clock.now += 10
        throttle.succeeded()
        throttle.succeeded()
        limits.append(throttle.limit)

    assert limits == [3, 4, 4, 4]


async def test_no_more_than_the_limit_run_and_a_cancelled_waiter_leaves_no_hole():
    throttle = Throttle(2)
    running, most = 0, 0
    leave = asyncio.Event()

    async def work():
        nonlocal running, most
        async with throttle.turn():
            running += 1
            most = max(most, running)
            await leave.wait()
            running -= 1

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(work()) for _ in range(6)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        started[3].cancel()
        leave.set()

    assert (most, running) == (2, 0)
    async with asyncio.timeout(1), throttle.turn(), throttle.turn():
        pass
