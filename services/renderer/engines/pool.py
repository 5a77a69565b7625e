"""Render apps in confined children, as many at a time as there are cores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from services.renderer.engines import tools
from services.renderer.engines.child import Child, ChildLostError
from services.renderer.engines.collect import collected
from services.renderer.engines.jobs import Answer, Job
from services.renderer.engines.shapes import Shapes, Tell, tell_nobody
from services.renderer.inputs import AppInputs
from services.renderer.sandbox import Limits
from shared.core.bundles import objects_of
from shared.core.canonical import digest, encode
from shared.core.objects import Manifest
from shared.errors import Finding, FindingsError

# A child that served so many jobs is replaced: whatever it may leak stays small. Of Helm's library fewer are taken.
JOBS_OF_A_CHILD = 20_000
JOBS_OF_A_CHART = 40
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one target is made of."""

    digest: str
    data: bytes
    keys: tuple[str, ...]
    """Of its objects, as text, sorted."""
    warnings: tuple[Finding, ...] = ()


class Engines:
    """The engines of one process; an async context manager. Children start when the first job comes.

    Their folders are made in `folder`, or where temporary ones are.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        workers: int | None = None,
        allow_unsandboxed: bool = False,
        folder: Path | None = None,
        tell: Tell = tell_nobody,
    ) -> None:
        self._limits = limits or Limits()
        self._allow_unsandboxed = allow_unsandboxed
        self._folder = folder
        self._slots = asyncio.Semaphore(workers or os.cpu_count() or 2)
        self._idle: list[Child] = []
        self._versions = tools.versions()
        self._shapes = Shapes(tell)
        self.children_started = 0
        """How many processes were started so far."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._idle:
            await self._idle.pop().kill()

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the tools: part of what a bundle depends on."""
        return self._versions

    def key(self, inputs: AppInputs) -> str:
        """Return the digest of everything that the bundle of `inputs` depends on. It blocks: trees are read."""
        return digest(encode([inputs.key, self._versions, inputs.app]))

    async def warm_up(self) -> None:
        """Start a child, so that the first job need not wait, and what is wrong with this machine is known early.

        Raises:
            SandboxError: this machine cannot confine engines.
            ChildStartError: it cannot start one now.
        """
        async with self._slots, self._child():
            pass

    async def bundle(self, inputs: AppInputs) -> Bundle:
        """Return the bundle of a target.

        Raises:
            FindingsError: why there is none, with file and line.
            SandboxError: this machine cannot confine engines.
            ChildStartError: this machine cannot start an engine now.
        """
        try:
            tools.need(inputs.engine, template=inputs.template)
            async with self._slots:
                # Not before there is a slot: a queue of jobs would hold the files of them all.
                job = await asyncio.to_thread(job_for, inputs, self._shapes.known(inputs.engine))
                answer = await self._answer(job)
        except FindingsError as error:
            raise FindingsError([_at_home(each, inputs) for each in error.findings]) from error
        warnings = tuple(_at_home(each, inputs) for each in answer.warnings)
        return Bundle(digest(answer.data), answer.data, answer.keys, warnings)

    async def render(self, inputs: AppInputs) -> list[Manifest]:
        """Return the objects of a target, in the order of its bundle; raises as `bundle` does."""
        bundle = await self.bundle(inputs)
        return list(objects_of(bundle.data.splitlines()))

    async def _answer(self, job: Job) -> Answer:
        """Return a child's answer; a job that kills two children is to blame itself (F25)."""
        for attempt in range(ATTEMPTS):
            try:
                async with self._child() as child:
                    child.jobs += JOBS_OF_A_CHART if job.engine == "helm" else 1
                    answer = await child.render(job)
            except ChildLostError as error:
                if attempt + 1 == ATTEMPTS:
                    finding = Finding("render.crash", f"the engine's process ended {ATTEMPTS} times: {error.message}")
                    raise FindingsError([finding]) from error
                continue
            if job.engine == "kustomize":
                self._shapes.learn(answer, job.app)
            if answer.findings:
                raise FindingsError(list(answer.findings))
            return answer
        raise AssertionError

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Child]:
        child = None
        while self._idle and child is None:
            child = self._idle.pop()
            if not child.alive:
                await child.kill()
                child = None
        if child is None:
            child = await Child.start(self._limits, allow_unsandboxed=self._allow_unsandboxed, parent=self._folder)
            self.children_started += 1
        try:
            yield child
        finally:
            if child.alive and child.jobs < JOBS_OF_A_CHILD:
                self._idle.append(child)
            else:
                await child.kill()


def job_for(inputs: AppInputs, shapes: Mapping[str, bool] | None = None) -> Job:
    """Return the job that makes the objects of `inputs`. It blocks: the tree is read."""
    return Job(
        engine=inputs.engine,
        app=inputs.app,
        namespace=inputs.namespace,
        root=inputs.root,
        layers=inputs.layers,
        groups=inputs.files,
        template=inputs.template,
        values=inputs.values,
        substitute=inputs.substitute,
        parameters=inputs.parameters,
        schemas=inputs.schemas,
        strict=inputs.strict,
        shapes=shapes or {},
        files=collected(inputs),
    )


def _at_home(finding: Finding, inputs: AppInputs) -> Finding:
    """Return a finding that names the app, and at least its folder."""
    return replace(finding, app=inputs.app, file=finding.file or inputs.root or inputs.path)
