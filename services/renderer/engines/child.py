"""Run one confined child: start it, hand it jobs, and end it with all that it started.

A child lives for many jobs because starting Python and Helm's library costs more than most renders. It is killed when a job
exceeds its time, its memory or its output; the next job gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Self

import services
from services.renderer.engines.jobs import LENGTHS, Answer, Job, answer_of, job_message
from services.renderer.sandbox import Limits
from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import Finding, FindingsError, PermanentError, TransientError

START_S = 30.0
HEAD_BYTES = 16 << 20
# `-c` because the child may not read the folder that `-m` would search; `-I` keeps variables and the present folder out.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from services.renderer.engines.worker import main; main()"
_OUT_OF_MEMORY = (b"cannot allocate memory", b"out of memory", b"MemoryError", b"failed to allocate")


class SandboxError(PermanentError):
    """This machine cannot confine an engine as the hub's settings want it."""

    code = "render.sandbox"


class ChildLostError(TransientError):
    """A child ended before it had answered, for a reason that lies in this machine."""

    code = "render.child-lost"


class ChildStartError(TransientError):
    """A child did not come up: something is wrong with this machine, not with a job."""

    code = "render.child-start"


class Child:
    """A confined process that renders; one job at a time."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, limits: Limits) -> None:
        self._process = process
        self._folder = folder
        self._limits = limits
        self._killed = False
        self.jobs = 0
        """How many it was given, by whoever gives them; a large one may count as several."""

    @classmethod
    async def start(cls, limits: Limits, *, allow_unsandboxed: bool, parent: Path | None = None) -> Self:
        """Start a child and wait until it is confined; its folder is made in `parent`, or where temporary ones are.

        Raises:
            SandboxError: it cannot be confined here, and `allow_unsandboxed` is not set.
            ChildStartError: it did not come up.
        """
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="towline-render-", dir=parent))
        work = folder / "work"
        work.mkdir(mode=0o700)
        with (folder / "stderr").open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-B", "-X", "utf8", "-c", _PROGRAM, str(_code())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=work,
                env=_environment(work),
                start_new_session=True,
            )
        child = cls(process, folder, limits)
        try:
            await child._set_up(allow_unsandboxed=allow_unsandboxed)
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def alive(self) -> bool:
        """Tell whether it can take a job."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Return its process id, which is also that of its group."""
        return self._process.pid

    async def render(self, job: Job) -> Answer:
        """Return what the child makes of `job`; a child that has to be killed for it is dead afterwards.

        Raises:
            FindingsError: `job` took more than the limits allow.
            ChildLostError: the child ended for another reason.
        """
        try:
            async with asyncio.timeout(self._limits.wall_s):
                head, body = await self._exchange(job_message(job, self._limits.cpu_s))
                return answer_of(head, body)
        except TimeoutError as error:
            await self.kill()
            raise _refused("render.timeout", f"rendering took longer than {self._limits.wall_s:g} s") from error
        except _TooLargeAnswerError as error:
            await self.kill()
            limit = self._limits.output_bytes
            raise _refused("render.too-large", f"the rendered objects take more than {limit} bytes") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await self._obituary() from error
        except (NotJSONError, TypeError, KeyError) as error:
            await self.kill()
            raise ChildLostError(f"a render child answered nonsense: {error}") from error
        except asyncio.CancelledError:
            await self.kill()
            raise

    async def kill(self) -> None:
        """End it with all that it started, and remove its folder; the second time it does nothing."""
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _set_up(self, *, allow_unsandboxed: bool) -> None:
        settings = encode(asdict(self._limits))
        try:
            async with asyncio.timeout(START_S):
                head, _ = await self._exchange([LENGTHS.pack(len(settings), 0), settings])
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, _TooLargeAnswerError) as error:
            reason = self._last_words() or "it said nothing"
            raise ChildStartError(f"a render child did not come up: {reason}") from error
        missing = decode(head)["missing"]
        if missing and not allow_unsandboxed:
            raise SandboxError(
                f"engines cannot be confined on this machine: {'; '.join(missing)}",
                hint="use a kernel with Landlock (5.13 or newer), or set allowUnsandboxed if every source is trusted",
            )

    async def _exchange(self, pieces: list[bytes]) -> tuple[bytes, bytes]:
        """Send a message and return head and body of the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ConnectionError("the child has no pipes")
        stdin.writelines(pieces)
        await stdin.drain()
        head, body = LENGTHS.unpack(await stdout.readexactly(LENGTHS.size))
        if head > HEAD_BYTES or body > self._limits.output_bytes:
            raise _TooLargeAnswerError
        return await stdout.readexactly(head), await stdout.readexactly(body)

    async def _obituary(self) -> FindingsError | ChildLostError:
        """Return why the child died under a job."""
        # It closed its pipes, so it is about to end; should it not, the group is killed.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()
        code, words = self._process.returncode, self._last_words()
        out_of_memory = any(sign in words.encode() for sign in _OUT_OF_MEMORY)
        await self.kill()
        if code == -signal.SIGXCPU or "SIGXCPU" in words:
            return _refused("render.timeout", f"rendering used more than {self._limits.cpu_s} s of processor time")
        if out_of_memory:
            return _refused("render.memory", f"rendering needed more than {self._limits.memory_bytes >> 20} MiB")
        if code is not None and code not in {0, -signal.SIGKILL, -signal.SIGTERM}:
            return _refused("render.crash", f"the engine crashed (exit {code})")
        return ChildLostError(f"a render child ended (exit {code}) before it had answered")

    def _last_words(self) -> str:
        """Return the end of what it wrote to standard error."""
        with contextlib.suppress(OSError), (self._folder / "stderr").open("rb") as errors:
            text = errors.read(4096)
            errors.seek(max(0, os.fstat(errors.fileno()).st_size - 1024))
            return (text + b"\n" + errors.read()).decode(errors="replace").strip()
        return ""


class _TooLargeAnswerError(Exception):
    """The child wants to answer more than it may."""


def _refused(code: str, message: str) -> FindingsError:
    hint = "look for endless loops, huge ranges and deep nesting in the templates" if code != "render.crash" else ""
    return FindingsError([Finding(code=code, message=message, hint=hint)])


def _code() -> Path:
    """Return the folder that holds the packages `services` and `shared`."""
    return Path(services.__file__).resolve().parents[1]


def _environment(folder: Path) -> dict[str, str]:
    """Return all that a child finds in its environment: nothing of ours, and the same on every machine."""
    return {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
    }
