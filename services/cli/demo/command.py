"""The command itself: a folder for the demo, the story, and how it ends."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import webbrowser
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from services.cli.client import Hub
from services.cli.demo.fleet import Member, members_of
from services.cli.demo.stage import Stage, staged
from services.cli.demo.story import Summary, tell
from services.cli.demo.view import View, shown
from services.cli.hubs import CommandError
from services.cli.stopping import run_to_end, stopped_by_signals
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import configure_logging

SMALLEST, LARGEST = 3, 200


def demo(
    *,
    clusters: int = 20,
    keep: Annotated[bool, Parameter(negative="")] = False,
    browser: bool = True,
) -> int:
    """Show the whole line on this machine with simulated clusters.

    Args:
        clusters: How many.
        keep: Keep everything running at the end, until Ctrl-C, and the demo's folder afterwards.
        browser: Open the page at the end, on a terminal.
    """
    if not SMALLEST <= clusters <= LARGEST:
        raise CommandError(f"the demo shows {SMALLEST} to {LARGEST} clusters", code="cli.demo")
    # The agents live in this process; what they have to say is told by the story.
    configure_logging("console", "error")
    folder = Path(tempfile.mkdtemp(prefix="towline-demo-"))
    try:
        run_to_end(_demo(folder, clusters, keep=keep, browser=browser and sys.stdout.isatty()))
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _demo(folder: Path, clusters: int, *, keep: bool, browser: bool) -> None:
    stays = keep or sys.stdout.isatty()
    with shown() as view:
        members = members_of(clusters)
        view.say(f"starting a hub and {clusters} simulated clusters ({_environments(members)}) in {folder}")
        async with staged(folder, members, view.say) as (stage, hub):
            summary = await tell(stage, hub, view)
            if not stays:
                view.say("everything ends here; with --keep it would go on running")
                _end(view, stage.address.url, summary)
                return
            page = await _page(stage, hub)
            if browser:
                await asyncio.to_thread(webbrowser.open, page)
            view.finish()
            view.say("everything keeps running until Ctrl-C; from another terminal:")
            view.say(f"  towline get targets --data {folder}/hub")
            view.say(f"  kubectl --kubeconfig {folder}/agents/{members[0].name}/kubeconfig get deployments -A")
            view.say("the page's address logs you in, once:")
            _end(view, page, summary)
            life = Lifecycle()
            with stopped_by_signals(life):
                await life.stopping.wait()


def _environments(members: list[Member]) -> str:
    return ", ".join(f"{count} {env}" for env, count in Counter(each.env for each in members).items())


async def _page(stage: Stage, hub: Hub) -> str:
    """Return the page's address with a code that opens it once, so that nobody has to type a token."""
    code = (await hub.post("/api/v1/login-codes", {}))["code"]
    return f"{stage.address.url}/login#code={code}"


def _end(view: View, page: str, summary: Summary) -> None:
    view.say(f"page: {page}")
    view.say(str(summary))
