"""Reach git servers: ask for refs often and cheaply, fetch seldom and in a process that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import aiohttp
import pygit2
from pygit2.enums import RepositoryOpenFlag

import shared
from shared.git.heads import bounded, refs_of
from shared.git.listing import list_refs
from shared.git.pktlines import other_format
from shared.git.remote import Remote, RemoteRef, SourceError, TransferLimits
from shared.git.repositories import open_bare
from shared.git.ssh import NOWHERE, make_home

CONNECTIONS = 32
CONNECTIONS_OF_A_HOST = 4
IDLE = 2
ANSWER_BYTES = 16 << 20

_SSH_USER = "git"
"""Who logs in where neither URL nor credential says so."""
_ROOT = str(Path(next(iter(shared.__path__))).parent)


class Transport:
    """The way to all git servers; an async context manager."""

    def __init__(self, limits: TransferLimits | None = None, known_hosts: Path | None = None) -> None:
        self.limits = limits or TransferLimits()
        self._known_hosts = known_hosts or Path(os.devnull)
        self._home: TemporaryDirectory[str] | None = None
        self._listings = asyncio.Semaphore(CONNECTIONS)
        self._listings_of: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(CONNECTIONS_OF_A_HOST)
        )
        self._session: aiohttp.ClientSession | None = None
        self._idle: list[Process] = []
        """Processes that wait for a job: Python and libgit2 take 0.2 s to start."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=CONNECTIONS_OF_A_HOST),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._home = await asyncio.to_thread(_home_with, self._known_hosts)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        while self._idle:
            await _end(self._idle.pop())
        if self._home is not None:
            await asyncio.to_thread(self._home.cleanup)

    async def list_refs(self, remote: Remote, prefixes: Sequence[str]) -> tuple[Remote, list[RemoteRef]]:
        """Return the refs that begin with one of `prefixes`, perhaps more, and the place where they are now.

        Raises:
            SourceError: they could not be had.
        """
        if remote.location.scheme == "ssh":
            return remote, await self._listed_by_ssh(remote, prefixes)
        if remote.location.scheme != "file":
            if self._session is None:
                raise RuntimeError("the transport is not entered")
            return await list_refs(self._session, remote, prefixes, self.limits)
        try:
            async with asyncio.timeout(self.limits.list_deadline_s):
                return remote, await asyncio.to_thread(_refs_on_disk, remote.location.path, self.limits.refs)
        except TimeoutError as error:
            raise SourceError(f"{remote.location.path} did not answer in time", code="source.timeout") from error

    async def fetch(self, remote: Remote, mirror: Path, wanted: Iterable[str]) -> dict[str, str]:
        """Fetch full ref names and commit ids into the bare repository `mirror`; one fetch of a mirror at a time.

        Returns:
            For each wanted name that is there the id of the object it leads to at this moment.

        Raises:
            SourceError: nothing could be fetched.
        """
        job = {**self._job(remote, self.limits.fetch_deadline_s), "mirror": str(mirror), "wanted": sorted(wanted)}
        found: dict[str, str] = await self._done(remote, job, "fetched")
        return found

    async def _listed_by_ssh(self, remote: Remote, prefixes: Sequence[str]) -> list[RemoteRef]:
        job = {**self._job(remote, self.limits.list_deadline_s), "prefixes": list(prefixes), "refs": self.limits.refs}
        async with self._listings_of[remote.location.origin], self._listings:
            return [RemoteRef(*each) for each in await self._done(remote, job, "listed")]

    async def _done(self, remote: Remote, job: Mapping[str, Any], what: str) -> Any:
        """Return what a process answers to a job; it is killed at the job's deadline."""
        process = await self._child()
        output = b""
        try:
            async with asyncio.timeout(job["deadline_s"]):
                output = await _asked(process, json.dumps(job).encode() + b"\n")
        except TimeoutError as error:
            raise SourceError(
                f"{remote.location.url} was not {what} within {job['deadline_s']:g} s",
                code="source.timeout",
                hint="raise the deadline, if the repository is that large",
            ) from error
        finally:
            if output and len(self._idle) < IDLE:
                self._idle.append(process)
            else:
                await _end(process)
        answer = json.loads(output or b"{}")
        if "code" in answer:
            raise SourceError(answer["message"], code=answer["code"], hint=answer["hint"])
        if what not in answer:
            ended = answer.get("ended", process.returncode)
            raise SourceError(f"the fetch of {remote.location.url} ended with {ended} and without answer")
        return answer[what]

    async def _child(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            await _end(process)
        return await _start()

    def _job(self, remote: Remote, deadline_s: float) -> dict[str, Any]:
        known, location = remote.credentials, remote.location
        if location.scheme == "ssh":
            location = replace(location, user=location.user or (known and known.username) or _SSH_USER)
        return {
            "url": location.url,
            "home": self._home.name if self._home else "",
            "credentials": known and asdict(known),
            "bytes": self.limits.fetch_bytes,
            "objects": self.limits.fetch_objects,
            "deadline_s": deadline_s,
        }


def _home_with(known_hosts: Path) -> TemporaryDirectory[str]:
    home = TemporaryDirectory(prefix="towline-git-")
    make_home(Path(home.name), known_hosts)
    open_bare(Path(home.name) / NOWHERE)
    return home


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "shared.git.child"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        # Nothing of the hub's environment: no proxy, no home, no secret.
        env={"PYTHONPATH": _ROOT, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        limit=ANSWER_BYTES,
    )


async def _asked(process: Process, job: bytes) -> bytes:
    """Return the line that a process answers with; an empty one: it is gone."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    with suppress(ConnectionError):
        process.stdin.write(job)
        await process.stdin.drain()
    return await process.stdout.readline()


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Drains what is left and closes the pipes.
    await process.communicate()


def _refs_on_disk(path: str, limit: int) -> list[RemoteRef]:
    """Return the refs of a repository on this machine."""
    try:
        repository = pygit2.Repository(path, RepositoryOpenFlag.NO_SEARCH)
        return bounded(refs_of(repository.remotes.create_anonymous(path).list_heads()), limit)
    except (pygit2.GitError, KeyError, OSError) as error:
        if "object format" in str(error):
            raise other_format() from error
        raise SourceError(
            f"there is no readable repository at {path}: {error}",
            code="source.not-found",
            hint="check the path and who owns it",
        ) from error
