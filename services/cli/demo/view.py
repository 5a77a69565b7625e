"""What the demo shows: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.cli.output import plain

if TYPE_CHECKING:
    from rich.live import Live

STAGES = ("observed", "rendered", "released", "applied", "healthy")
SHOWN_DIGITS = 8
SUBJECT_WIDTH = 34
PROGRESS_WIDTH = 14


@dataclass(slots=True)
class Journey:
    """A commit on its way: which stage was there after how many seconds since its push."""

    commit: str
    subject: str
    seconds: dict[str, float] = field(default_factory=dict)
    progress: str = ""
    """Targets that are there, of all; or why it stays where it is."""


class View:
    """Prints what happens; `journey` once for each commit, then `moved` whenever something of it changed."""

    def __init__(self, live: Live | None = None) -> None:
        self._live = live
        self._journeys: list[Journey] = []

    def finish(self) -> None:
        """Leave the table as it is: what is said from now on stands below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Tell what is going on."""
        if self._live is None:
            print(text, flush=True)
        else:
            self._live.console.print(text, highlight=False, markup=False)

    def journey(self, commit: str, subject: str) -> Journey:
        """Begin to show a commit."""
        journey = Journey(commit, subject)
        self._journeys.append(journey)
        if self._live is None:
            print(f"commit {commit[:SHOWN_DIGITS]}  {subject}", flush=True)
        return journey

    def moved(self, journey: Journey, stage: str) -> None:
        """Show that a commit reached a stage, or (an empty stage) how far it is on its way to the next."""
        if self._live is not None:
            self._live.update(_table(self._journeys, self._live.console.width))
        elif stage:
            print(f"  {journey.seconds[stage]:6.2f} s  {stage:9} {journey.progress}".rstrip(), flush=True)


@contextmanager
def shown() -> Iterator[View]:
    """Give the view that fits where the output goes."""
    if not sys.stdout.isatty():
        yield View()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), refresh_per_second=8) as live:
        yield View(live)


def _table(journeys: list[Journey], width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    fixed = (SHOWN_DIGITS, *(len(stage) for stage in STAGES), PROGRESS_WIDTH)
    what = max(len("WHAT"), min(SUBJECT_WIDTH, width - sum(fixed) - len(fixed)))
    table.add_column("COMMIT", no_wrap=True)
    table.add_column("WHAT", no_wrap=True, overflow="ellipsis", width=what)
    for stage in STAGES:
        table.add_column(stage.upper(), justify="right", no_wrap=True)
    table.add_column("TARGETS", no_wrap=True, overflow="ellipsis", width=PROGRESS_WIDTH)
    for each in journeys:
        cells = (f"{each.seconds[stage]:.2f} s" if stage in each.seconds else "" for stage in STAGES)
        table.add_row(each.commit[:SHOWN_DIGITS], Text(each.subject), *cells, Text(plain(each.progress)))
    return table
