"""Write a difference as Markdown for a pull request: what counts at once, details to unfold, and never too long.

What manifests hold is text of others: it stands in fences longer than any within, and names lose what Markdown reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from services.cli.offline_changes import Change, Setting
from services.cli.offline_findings import line_of
from services.cli.offline_hunks import Difference, hunks, on, shown, summary, tally
from services.cli.output import plain

# GitHub takes 65,536 characters, GitLab and others more.
MOST_CHARACTERS = 60_000
MOST_LINES = 120
_MARK = "<!-- towline-diff -->"
"""By which a pipeline finds the comment that it wrote before."""
_FENCE = re.compile("`{3,}")


def markdown(found: Difference) -> str:
    """Return the comment."""
    parts = [f"{_MARK}\n**Towline:** {_text(summary(found))}"]
    parts += [_findings(found)] if found.findings else []
    parts += [_settings(found.settings)] if found.settings else []
    groups = [list(group) for _, group in groupby(found.changes, key=lambda each: (each.app, each.clusters))]
    room = MOST_CHARACTERS - sum(map(len, parts))
    for index, group in enumerate(groups):
        section = _section(group, room)
        room -= len(section)
        if room < 0:
            left = [change for each in groups[index:] for change in each]
            parts.append(
                f"...and more than fits here: {tally(left)}. See all with `towline diff --base {_text(found.base)}`."
            )
            break
        parts.append(section)
    return "\n\n".join(parts)


def _section(group: list[Change], room: int) -> str:
    """Return the changes of an app that are the same on some clusters; details only as far as there is room."""
    first = group[0]
    head = f"<details><summary><b>{_text(first.app)}</b> on {_text(on(first.clusters))}: {tally(group)}</summary>\n"
    lines: list[str] = []
    for change in group:
        block = "\n".join(_object(change))
        if sum(map(len, lines)) + len(block) + len(head) > room - 200:
            lines.append(f"- {change.kind}: `{_text(change.key)}` (too long to be shown)")
        else:
            lines.append(block)
    return "\n".join([head, "\n\n".join(lines), "\n</details>"])


def _object(change: Change) -> Iterator[str]:
    lines = [plain(line) for line in hunks(change)]
    yield f"{change.kind}: `{_text(change.key)}`"
    fence = max([3, *(len(run) + 1 for line in lines for run in _FENCE.findall(line))]) * "`"
    yield f"{fence}diff"
    yield from lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        yield f"... {len(lines) - MOST_LINES} more lines"
    yield fence


def _settings(settings: tuple[Setting, ...]) -> str:
    rows = [
        f"| {_text(each.owner or 'fleet')} | `{_text(each.path)}` | `{_text(shown(each.before))}` | `{_text(shown(each.after))}` |"
        for each in settings[:MOST_LINES]
    ]
    more = [f"\n...and {len(settings) - MOST_LINES} more settings"] if len(settings) > MOST_LINES else []
    return "\n".join(["| | setting | before | after |", "| --- | --- | --- | --- |", *rows, *more])


def _findings(found: Difference) -> str:
    lines = [f"- {_text(line_of(each))}" for each in found.findings[:MOST_LINES]]
    more = len(found.findings) - MOST_LINES
    return "\n".join([*lines, *([f"- ...and {more} more"] if more > 0 else [])])


def _text(value: object) -> str:
    """Return a text in which Markdown and HTML find nothing to read."""
    text = plain(value)[:300].replace("`", "'").replace("|", "\\|").replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")
