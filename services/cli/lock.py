"""`towline lock`: write down which archive each chart of a chart repository means.

The only command beside those for a hub that goes to the network: with this machine's own, to the repositories that apps name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from services.cli.hubs import CommandError
from services.cli.output import say

if TYPE_CHECKING:
    from shared.core.trees import Tree
    from shared.fleet.locks import Asked, Lock, LockedChart


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class How:
    """How to lock."""

    update: Annotated[bool, Parameter(negative="", help="Look for newer versions within the ranges, too.")] = False
    chart: Annotated[tuple[str, ...], Parameter(negative="", help="With --update: only charts of this name.")] = ()
    check: Annotated[bool, Parameter(negative="", help="Change nothing; end with 1 if something is to be done.")] = (
        False
    )
    credentials: Annotated[
        Path | None, Parameter(help="A file of credentials, as the poller takes: a list of url and token.")
    ] = None


def lock(path: Path = Path(), /, *, how: How | None = None) -> int:
    """Write `charts.lock`: version, URL and digest of each chart that an app takes from a chart repository.

    What is locked stays as it is. It is fetched where this machine lacks it, so that `towline render` can do without network.

    Args:
        path: A checkout.
        how: How to lock.
    """
    import asyncio

    from services.cli.chart_locking import locked
    from shared.errors import FindingsError
    from shared.fleet.locks import LOCK, lock_text, read_lock
    from shared.git.folder import FolderTree

    options = how or How()
    if not path.is_dir():
        raise CommandError(f"{path} is no folder", code="cli.no-folder", hint="name a checkout")
    tree = FolderTree(path)
    written = read_lock(tree)
    if written.findings:
        raise FindingsError(list(written.findings))
    asked, whole = _asked(tree, path)
    old = {each.key: each for each in written.charts}
    if options.check:
        return _checked(asked, written, whole=whole)
    kept = {key: each for key, each in old.items() if key in asked or not whole}
    again = {key for key in asked if options.update and (not options.chart or key[1] in options.chart)}
    known = {key: kept[key] for key in asked - again if key in kept}
    found, failed = asyncio.run(locked(asked, known, options.credentials))
    new = {**kept, **{each.key: each for each in found}}
    if lock_text(new.values()) != lock_text(old.values()) or (new and not (path / LOCK).exists()):
        (path / LOCK).write_text(lock_text(new.values()), "utf-8")
    _tell(old, new, asked)
    return 1 if failed or not whole else 0


def _asked(tree: Tree, path: Path) -> tuple[set[Asked], bool]:
    """Return the charts that apps ask for, and whether all apps could be read."""
    from services.cli.offline_fleet import fleet_of
    from services.renderer.locked import from_repository
    from shared.fleet.locks import asked_by

    fleet = fleet_of(tree, path)
    for finding in fleet.errors:
        say(f"error: {finding}")
    helms = (from_repository(app) for app in fleet.apps)
    return {asked_by(helm) for helm in helms if helm is not None}, fleet.readable and not fleet.unreadable_apps


def _checked(asked: set[Asked], written: Lock, *, whole: bool) -> int:
    known = {each.key for each in written.charts}
    for _, chart, version in sorted(asked - known):
        say(f"{chart} {version} is not locked: run `towline lock`")
    for _, chart, version in sorted(known - asked) if whole else ():
        say(f"{chart} {version} is locked, and no app asks for it: run `towline lock`")
    return 1 if asked - known or (whole and known - asked) or not whole else 0


def _tell(old: Mapping[Asked, LockedChart], new: Mapping[Asked, LockedChart], asked: Iterable[Asked]) -> None:
    for key in sorted({*old, *new, *asked}):
        before, after = old.get(key), new.get(key)
        name = f"{key[1]} {key[2]}"
        if after is None:
            say(f"{name}: {'no longer locked' if before else 'not locked'}")
        elif before is None:
            say(f"{name}: {after.version}")
        elif before.digest != after.digest:
            say(f"{name}: {before.version} -> {after.version}")
        else:
            say(f"{name}: {after.version}, as before")
