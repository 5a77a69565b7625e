"""Print what commands found: tables for people, JSON and YAML for programs.

What others wrote (commit subjects, error texts) loses its control characters before it reaches a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.hubs import CommandError

Format = Literal["table", "wide", "json", "yaml", "name"]
Output = Annotated[Format, Parameter(name=["--output", "-o"], help="How to print: for people, or for programs.")]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CODES = {"bold": 1, "red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36}
_COLOURS = {
    **dict.fromkeys(("Synced", "Current", "connected", "healthy", "succeeded", "True"), "green"),
    **dict.fromkeys(("Applying", "InProgress", "OutOfSync", "applied", "released", "rendered", "observed"), "blue"),
    **dict.fromkeys(("Failed", "failed", "offline", "stale", "refused", "partial", "quarantined", "revoked"), "red"),
    **dict.fromkeys(("Held", "held", "Suspended"), "yellow"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `wide` ones are only printed with `-o wide`."""

    title: str
    value: Callable[[Mapping[str, Any]], Any]
    wide: bool = False


def show(
    listing: Mapping[str, Any], columns: Sequence[Column], output: Format, *, noun: str, header: bool = True
) -> None:
    """Print a list in the wanted form."""
    if output == "json":
        print(json.dumps(listing, indent=2, ensure_ascii=False))
    elif output == "yaml":
        print(yaml_text(listing), end="")
    elif output == "name":
        for item in listing["items"]:
            print(f"{noun}/{plain(name_of(item))}")
    else:
        chosen = [column for column in columns if output == "wide" or not column.wide]
        rows = [[plain(column.value(item)) for column in chosen] for item in listing["items"]]
        _table([column.title for column in chosen], rows, header=header, cut=output != "wide")
        if not rows:
            say(f"no {noun}s found")


def name_of(item: Mapping[str, Any]) -> str:
    """Return how an item is called: its name, its place, its commit or its position."""
    if "cluster" in item and "app" in item and "name" not in item:
        return f"{item['cluster']}/{item['app']}"
    return str(item.get("name") or item.get("commit") or item.get("id", ""))


def yaml_text(value: Any) -> str:
    """Return a value as YAML."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def plain(value: Any) -> str:
    """Return a value as one line without control characters."""
    text = "" if value is None else str(value)
    return "".join(each if each.isprintable() else " " for each in text)


def say(text: str) -> None:
    """Tell a person something: talk goes to standard error, data to standard output."""
    print(text, file=sys.stderr)


def painted(text: str, style: str) -> str:
    """Return a text in a colour, or bold, where people see colours."""
    return f"\033[{_CODES[style]}m{text}\033[0m" if style and _coloured() else text


def _coloured() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("CLICOLOR_FORCE")) or sys.stdout.isatty()


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool, cut: bool) -> None:
    if not rows:
        return
    if _coloured():
        _rich_table(titles, rows, header=header, cut=cut)
        return
    lines = [*([titles] if header else []), *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(titles))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _rich_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool, cut: bool) -> None:
    import shutil

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=header, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis" if cut else "ignore")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    width = shutil.get_terminal_size().columns if cut else 10_000
    Console(force_terminal=True, width=width, highlight=False).print(table)


def age(time: str | None) -> str:
    """Return how long ago a time was, as people say it."""
    if not time:
        return ""
    elapsed = max(0, int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()))
    for unit, size in reversed(_UNITS.items()):
        if elapsed >= 2 * size or unit == "s":
            return f"{elapsed // size}{unit}"
    return ""


def seconds_of(text: str) -> float:
    """Return a duration: `90s`, `5m`, `1h30m`, `2d`, or plain seconds.

    Raises:
        CommandError: it is none.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise CommandError(f"{text!r} is no duration", code="cli.duration", hint="write 90s, 5m, 1h30m or 2d")
    return float(sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", text)))


def moment_of(text: str, *, past: bool) -> str:
    """Return a time in RFC 3339: as given, or a duration before or after now."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        elapsed = timedelta(seconds=seconds_of(text))
        moment = datetime.now(UTC) - elapsed if past else datetime.now(UTC) + elapsed
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


def pairs_of(given: Sequence[str]) -> dict[str, str]:
    """Return labels that were given as `key=value`, also several in one, separated by commas.

    Raises:
        CommandError: one has another form.
    """
    found: dict[str, str] = {}
    for pair in (part for each in given for part in each.split(",")):
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise CommandError(f"{pair!r} is no label", code="cli.label", hint="write it as key=value")
        found[name] = value
    return found
