"""Make the objects of targets on this machine: plain manifests in this process, the rest in confined children."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from services.renderer.engines import Engines, making, plain
from services.renderer.engines.child import ChildStartError, SandboxError
from services.renderer.engines.pool import job_for
from services.renderer.targets import AppInputs, Target
from shared.core.bundles import objects_of
from shared.core.canonical import digest
from shared.core.objects import Manifest
from shared.errors import Finding, FindingsError


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one target."""

    cluster: str
    app: str
    digest: str = ""
    """Empty: it failed, and `findings` say why."""
    objects: tuple[Manifest, ...] = ()
    findings: tuple[Finding, ...] = ()


def made(targets: Iterable[Target], *, unsandboxed: bool = False) -> list[Made]:
    """Return the targets with their objects, in order; equal inputs are rendered once."""
    return asyncio.run(_made(targets, unsandboxed=unsandboxed))


async def _made(targets: Iterable[Target], *, unsandboxed: bool) -> list[Made]:
    async with Engines(allow_unsandboxed=unsandboxed) as engines:
        return await made_by(engines, targets)


async def made_by(engines: Engines, targets: Iterable[Target]) -> list[Made]:
    """Return the targets with their objects, in order, as `engines` make them; equal inputs are rendered once."""
    chosen = list(targets)
    outcomes = await _outcomes([each.inputs for each in chosen if each.inputs], engines)
    found = []
    for target in chosen:
        outcome = outcomes[target.inputs.key] if target.inputs else Made("", "", findings=target.findings)
        findings = tuple(replace(each, cluster=target.cluster, app=target.app) for each in outcome.findings)
        found.append(replace(outcome, cluster=target.cluster, app=target.app, findings=findings))
    return found


async def _outcomes(inputs: Iterable[AppInputs], engines: Engines) -> dict[str, Made]:
    distinct = {each.key: each for each in inputs}
    outcomes: dict[str, Made] = {}
    async with asyncio.TaskGroup() as tasks:

        async def one(key: str, each: AppInputs) -> None:
            outcomes[key] = await _outcome(each, engines)

        for key, each in distinct.items():
            tasks.create_task(one(key, each))
    return outcomes


async def _outcome(inputs: AppInputs, engines: Engines) -> Made:
    try:
        if inputs.engine == "plain" and not inputs.template:
            return _plain(inputs)
        bundle = await engines.bundle(inputs)
    except FindingsError as error:
        return Made("", "", findings=tuple(error.findings))
    except (SandboxError, ChildStartError) as error:
        finding = Finding(error.code, error.message, inputs.path, hint=error.hint)
        return Made("", "", findings=(finding,))
    return _of_bytes(bundle.data, bundle.warnings)


def _plain(inputs: AppInputs) -> Made:
    """Return what plain manifests are; no tool runs, so no child is needed.

    Raises:
        FindingsError: they are wrong.
    """
    answer = making.made(job_for(inputs), plain.pieces, Path())
    return _of_bytes(answer.data, answer.warnings)


def _of_bytes(data: bytes, warnings: tuple[Finding, ...]) -> Made:
    return Made("", "", digest(data), tuple(objects_of(data.splitlines())), warnings)
