"""An agent as a process whose clock is wrong."""

import asyncio
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.agents import config_map
from tests.support.line import PROJECT, until
from tests.support.skew import skewed


@asynccontextmanager
async def agent_process(pen, sim, folder, skew_s):
    """Run the agent's program with a clock that is so far ahead."""
    (folder / "kubeconfig").write_text(sim.kubeconfig())
    environment = skewed(folder, skew_s) | {
        "PYTHONPATH": str(PROJECT),
        "TOWLINE_AGENT_KUBECONFIG": str(folder / "kubeconfig"),
        "TOWLINE_AGENT_DATA": str(pen.settings(sim).data),
    }
    log = folder / "agent.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.applier", env=environment, stdout=out, stderr=out, cwd=folder
        )
    try:
        yield log
    finally:
        process.terminate()
        assert await process.wait() == 0, log.read_text()


def until_when(**ahead):
    return {"reason": "maintenance", "by": "ada", "until": (datetime.now(UTC) + timedelta(**ahead)).isoformat()}


@pytest.mark.slow
@pytest.mark.parametrize("skew_s", [86400, -86400], ids=["a day ahead", "a day behind"])
async def test_an_agent_whose_clock_is_a_day_off_does_as_any_other(pen, sim, tmp_path, skew_s):
    """A35, N6: nothing expires early or late, nothing is deleted for it, and people are told of the clock."""
    async with agent_process(pen, sim, tmp_path, skew_s) as log:
        await pen.release("web", [config_map("one"), config_map("two")])
        report = await until(lambda: pen.reports and pen.reports[0], what=log.read_text)
        await pen.release("paused", [config_map("p")], suspend=until_when(hours=1), publish=False)
        await pen.release("resumed", [config_map("r")], suspend=until_when(hours=-1))
        await pen.stands("resumed", sync="Synced")
        await pen.stands("paused", sync="Suspended")
        await pen.instruct("sync")
        await pen.reported("web", trigger="sync")
        sim.store.patch(config_map("one"), {"data": {"a": "9"}})
        await pen.reported("web", trigger="drift")
        await pen.release("web", [config_map("one")])
        await pen.reported("web", generation=2, settled=True)

    first = datetime.fromisoformat(log.read_text().split('"timestamp":"')[1].split('"')[0])
    assert abs((first - datetime.now(UTC)).total_seconds() - skew_s) < 3600, "the process has the other clock"
    assert "1440 minutes" in report.warnings[0]
    left = {each["metadata"]["name"] for each in sim.store.list("v1", "ConfigMap", "web")}
    assert left == {"one", "r"}
    deleted = [each.path.rpartition("/")[2] for each in sim.requests if each.method == "DELETE"]
    assert deleted == ["two"]
