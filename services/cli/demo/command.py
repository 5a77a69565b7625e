"""The command itself: what it takes, a folder for the demo, and what is left of it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from services.cli.extras import need
from services.cli.hubs import CommandError
from services.cli.output import say
from shared.errors import TowlineError

SMALLEST, LARGEST = 3, 200


def demo(
    *,
    clusters: int = 20,
    keep: Annotated[bool, Parameter(negative="")] = False,
    browser: bool = True,
) -> int:
    """Show the whole line on this machine with simulated clusters.

    Args:
        clusters: How many; 20 by default.
        keep: Keep everything running at the end, until Ctrl-C, and the demo's folder afterwards.
        browser: Open the page at the end, on a terminal.
    """
    if not SMALLEST <= clusters <= LARGEST:
        raise CommandError(
            f"{clusters} clusters cannot be shown", code="cli.demo", hint=f"give {SMALLEST} to {LARGEST} clusters"
        )
    need("demo")
    from services.cli.demo.performing import perform
    from services.cli.stopping import run_to_end
    from shared.runtime.logs import configure_logging

    # The agents live in this process; what they have to say is told by the story.
    configure_logging("console", "error")
    folder = Path(tempfile.mkdtemp(prefix="towline-demo-"))
    stays = keep
    try:
        run_to_end(perform(folder, clusters, keep=keep, browser=browser and sys.stdout.isatty()))
    except (TowlineError, OSError, ExceptionGroup):
        stays = True
        say(f"the demo failed; what it left stays in {folder}, with the hub's log in hub.log")
        raise
    finally:
        if not stays:
            shutil.rmtree(folder, ignore_errors=True)
    return 0
