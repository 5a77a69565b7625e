"""Run an import of each tool: find, then write and prove."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.cli.hubs import CommandError
from services.cli.imports import flux_objects
from services.cli.imports.argocd_apps import Argo
from services.cli.imports.argocd_content import is_argo
from services.cli.imports.command import Reported
from services.cli.imports.finishing import Into, finish
from services.cli.imports.fleet_bundles import Fleet
from services.cli.imports.flux_apps import Apps
from services.cli.imports.flux_walk import Flux
from services.cli.imports.model import ClusterFound, Import
from services.cli.imports.originals import Originals
from services.cli.imports.places import Places
from services.cli.offline_fleet import tree_of
from services.renderer.engines import Engines
from services.renderer.layers import joined
from shared.core.names import name_problem


def import_flux(path: Path, rev: str, out: Path, form: Reported, *, entries: Sequence[str], below: str) -> int:
    """Import a repository for Flux, and return the code to exit with."""
    tree = tree_of(path, rev)
    source = Flux(tree, Places(tree), below=below.strip("/"), entries=_entries(entries))
    return asyncio.run(_walked(Into(tree, out, form, flux_objects.is_replaced), source))


def import_argocd(path: Path, rev: str, out: Path, form: Reported, *, url: str, clusters: Sequence[str]) -> int:
    """Import a repository for Argo CD, and return the code to exit with."""
    tree = tree_of(path, rev)
    found = Argo(tree, Places(tree), url=url, clusters=[_cluster(each) for each in clusters]).found()
    return asyncio.run(_finished(Into(tree, out, form, is_argo), found))


def import_fleet(path: Path, rev: str, out: Path, form: Reported, *, clusters: Sequence[str]) -> int:
    """Import a repository for Rancher's Fleet, and return the code to exit with."""
    tree = tree_of(path, rev)
    found = Fleet(tree, Places(tree), clusters=[_cluster(each) for each in clusters]).found()
    return asyncio.run(_finished(Into(tree, out, form, lambda _: False), found))


async def _walked(into: Into, source: Flux) -> int:
    async with Engines() as engines:
        originals = Originals(into.tree, engines)
        walk = source.walk()
        asked = next(walk, None)
        while asked is not None:
            outcomes = await originals.all_of(asked)
            try:
                asked = walk.send(outcomes)
            except StopIteration:
                asked = None
        return await finish(into, Apps(source).found(), originals, engines)


async def _finished(into: Into, found: Import) -> int:
    async with Engines() as engines:
        return await finish(into, found, Originals(into.tree, engines), engines)


def _cluster(text: str) -> ClusterFound:
    name, *labels = text.split(",")
    pairs = [each.partition("=") for each in labels]
    if name_problem(name) or not all(key and equals for key, equals, _ in pairs):
        raise CommandError(f"{text!r} is no cluster", code="import.entry", hint="write it as NAME,label=value")
    return ClusterFound(name, {key: value for key, _, value in pairs})


def _entries(given: Sequence[str]) -> dict[str, str] | None:
    found = {}
    for each in given:
        name, equals, folder = each.partition("=")
        if name_problem(name) or not equals:
            raise CommandError(f"{each!r} is no entry", code="import.entry", hint="write it as CLUSTER=FOLDER")
        found[name] = joined("", folder)
    return found or None
