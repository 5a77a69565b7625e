"""What others wrote is stored by the simulated API server as it was sent, and nothing is said of it."""

from tests.support.samples import define, samples, what_is_said


async def test_what_others_wrote_raises_no_false_alarm(sim_server):
    """D17: some 400 manifests out of other tools' tests, all of them stored as they are."""
    objects = samples()
    await define(sim_server, objects)
    taken, told = await what_is_said(sim_server, objects)

    assert told == {}
    assert len(taken) > 80
