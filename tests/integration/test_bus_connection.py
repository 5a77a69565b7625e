"""What programs and agents rely on when they talk over the bus."""

from shared import subjects


async def test_an_agent_reads_its_desired_state_after_the_hint(connect):
    releaser, agent = await connect("releaser"), await connect("c1")
    assert await agent.request(subjects.get("c1")) is None

    async with agent.subscribe(subjects.notify("c1")) as hints:
        sequence = await releaser.publish(subjects.desired("c1"), b"document", expected_last=0)
        hint = await anext(hints)
    stored = await agent.request(subjects.get("c1"))

    assert (hint.sequence, hint.data) == (sequence, b"")
    assert (stored.sequence, stored.data) == (sequence, b"document")
