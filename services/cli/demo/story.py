"""What the demo tells: commits travel, a broken one stays local, a manual change is healed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.cli.client import Hub
from services.cli.demo.fleet import Files, apps_commit, broken_web, web_release
from services.cli.demo.stage import MEDDLED, Stage
from services.cli.demo.view import STAGES, Journey, View
from services.cli.hubs import CommandError
from services.cli.output import plain

PAUSE_S = 0.1
LONGEST_S = 120.0
"""No step takes that long, except on a machine that does not get anywhere."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the demo ends with."""

    clusters: int
    commits: int
    slowest_s: float
    """The longest time from a push to the last cluster that applied it."""

    def __str__(self) -> str:
        """Return the last line of the demo."""
        return (
            f"demo: {self.clusters} clusters, {self.commits} commits, "
            f"slowest commit to last cluster {self.slowest_s:.1f} s"
        )


async def tell(stage: Stage, hub: Hub, view: View) -> Summary:
    """Tell the whole story."""
    view.say("")
    view.say(
        "1. Three apps for every cluster: web (Kustomize), api (Helm), settings (a template of each cluster's labels)."
    )
    view.say(
        "   The rollout takes dev first, then staging, then prod by halves; each stage must be healthy before the next."
    )
    travelled = [await _travel(stage, hub, view, apps_commit(), "Add web, api and settings")]
    view.say("2. A release of web. What did not change (api, settings) is neither rendered nor applied again.")
    travelled.append(await _travel(stage, hub, view, web_release("1.1.0"), "Release web 1.1.0"))
    view.say("3. A broken commit of web. It is refused with its file, and no cluster may notice.")
    await _break(stage, hub, view)
    view.say("4. The next good commit goes through.")
    travelled.append(await _travel(stage, hub, view, web_release("1.2.0"), "Mend web, release 1.2.0"))
    view.say("5. Somebody changes a cluster by hand. Its agent puts back what git says.")
    await _heal(stage, view)
    view.say("")
    return Summary(len(stage.members), len(travelled) + 2, max(each.seconds["applied"] for each in travelled))


async def _travel(stage: Stage, hub: Hub, view: View, files: Files, subject: str) -> Journey:
    """Commit, and follow the commit until every cluster runs it and is well."""
    pushed, commit = time.time(), stage.repository.commit(files, subject)
    journey = view.journey(commit, subject)
    async with _in_time(f"commit {commit[:10]} on its way to all clusters"):
        while "healthy" not in journey.seconds:
            found = await _revision(hub, commit)
            if found is not None:
                _check(found)
                _follow(view, journey, found, pushed)
            await asyncio.sleep(PAUSE_S)
    return journey


@asynccontextmanager
async def _in_time(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LONGEST_S):
            yield
    except TimeoutError as error:
        raise CommandError(
            f"{what} took longer than {LONGEST_S:.0f} s",
            code="demo.failed",
            hint="give the machine more time with fewer clusters, such as --clusters 3",
        ) from error


def _check(found: dict[str, Any]) -> None:
    """Stop a demo that does not work, with what the hub says about it."""
    if found["failed"] or any(problem["severity"] == "error" for problem in found["problems"]):
        why = next((problem["message"] for problem in found["problems"]), f"{found['failed']} targets failed")
        raise CommandError(f"commit {found['commit'][:10]} cannot be rendered: {plain(why)}", code="demo.failed")


async def _revision(hub: Hub, commit: str) -> dict[str, Any] | None:
    items = await hub.items("/api/v1/revisions", 1, commit=commit)
    return items[0] if items else None


def _follow(view: View, journey: Journey, found: dict[str, Any], pushed: float) -> None:
    """Note which stages were reached since the last look."""
    for stage in STAGES:
        reached = found["stages"][stage]
        if stage not in journey.seconds and reached:
            journey.seconds[stage] = max(0.0, datetime.fromisoformat(reached).timestamp() - pushed)
            journey.progress = f"{found['targets']} targets" if found["targets"] else ""
            view.moved(journey, stage)
    waiting = next((stage for stage in STAGES[2:] if stage not in journey.seconds), "")
    if waiting and found["targets"]:
        journey.progress = f"{found[waiting]}/{found['targets']} {waiting}"
        view.moved(journey, "")


async def _break(stage: Stage, hub: Hub, view: View) -> None:
    """Commit something that cannot be rendered, and see that no cluster notices."""
    before = stage.versions("web")
    subject = "Break web: name a file that is not there"
    pushed, commit = time.monotonic(), stage.repository.commit(broken_web(), subject)
    journey = view.journey(commit, subject)
    found: dict[str, Any] = {}
    async with _in_time(f"the refusal of commit {commit[:10]}"):
        while not found.get("failed"):
            await asyncio.sleep(PAUSE_S)
            found = await _revision(hub, commit) or {}
    failed = await hub.items("/api/v1/targets", 1, app="web", ready="false")
    problem = failed[0]["render"]["problems"][0] if failed and failed[0]["render"] else {"file": "", "message": ""}
    journey.progress = f"{found['failed']} refused"
    view.moved(journey, "")
    view.say(f"  {time.monotonic() - pushed:6.2f} s  refused: {plain(problem['file'])}: {plain(problem['message'])}")
    if stage.versions("web") != before:
        raise CommandError("a broken commit changed a cluster", code="demo.failed", hint="please report this")
    view.say(f"            {len(stage.members)} clusters keep running what they ran: no object of web was touched")


async def _heal(stage: Stage, view: View) -> None:
    """Change an object by hand, and see it put back."""
    name = stage.members[-1].name
    started = time.monotonic()
    wanted = stage.meddle(name)
    view.say(f"somebody scales web to {MEDDLED} on {name}")
    async with _in_time(f"healing of {name}"):
        await stage.until_replicas(name, wanted)
    view.say(f"  {time.monotonic() - started:6.2f} s  healed: web runs {wanted} again")
