"""Run the demo from its first word to its last."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections import Counter
from pathlib import Path

from services.cli.client import Hub
from services.cli.demo.fleet import Member, members_of
from services.cli.demo.stage import Stage, staged
from services.cli.demo.story import Summary, tell
from services.cli.demo.view import View, shown
from services.cli.stopping import stopped_by_signals
from shared.runtime.lifecycle import Lifecycle


async def perform(folder: Path, clusters: int, *, keep: bool, browser: bool) -> None:
    """Tell the story in `folder`; on a terminal, or with `keep`, all goes on running until a signal."""
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
