"""The program of a confined child: jobs from standard input, answers to standard output, until the input ends."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from services.renderer.engines import in_process, tools
from services.renderer.engines.jobs import LENGTHS, Answer, Job, answer_message, job_of
from services.renderer.engines.making import made
from services.renderer.finish import Piece
from services.renderer.sandbox import Limits, allow_cpu, confine, limit
from shared.core.canonical import decode, encode
from shared.errors import Finding, FindingsError


class Engine(Protocol):
    """A module that makes objects of a job's files."""

    def pieces(self, job: Job, folder: Path) -> tuple[list[Piece], list[Finding]]:
        """Return the objects and warnings; `folder` is empty and may be used.

        Raises:
            FindingsError: the files are wrong.
        """


def main() -> None:
    """Serve until standard input ends."""
    # What engines print must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    jobs = os.fdopen(os.dup(0), "rb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    work = Path.cwd()
    settings = _message(jobs)
    if settings is None:
        return
    limits = Limits(**decode(settings[0]))
    limit(limits)
    missing = confine(work, [*_code(), *tools.readable()])
    _send(answers, [_lengths(head := encode({"missing": missing}), 0), head])
    while (message := _message(jobs)) is not None:
        head = decode(message[0])
        allow_cpu(head["cpu_s"])
        answer = _answer(job_of(head["job"], message[1]), work)
        if len(answer.data) > limits.output_bytes:
            answer = Answer(findings=(_too_large(limits.output_bytes),))
        _send(answers, answer_message(answer))


def _answer(job: Job, work: Path) -> Answer:
    try:
        if job.engine == "kustomize":
            return in_process.answered(job, partial(_made, job, work))
        return _made(job, work)
    except FindingsError as error:
        return Answer(findings=tuple(error.findings))
    except RecursionError:
        return Answer(findings=(Finding("yaml.too-deep", "a file is nested too deeply", hint="100 levels at most"),))


def _made(job: Job, work: Path) -> Answer:
    """Return what the job's engine makes, in a folder of its own."""
    folder = work / os.urandom(16).hex()
    folder.mkdir(mode=0o700)
    try:
        engine = cast("Engine", import_module(f"services.renderer.engines.{job.engine}"))
        return made(job, engine.pieces, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _message(source: BinaryIO) -> tuple[bytes, bytes] | None:
    lengths = source.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, body = LENGTHS.unpack(lengths)
    return source.read(head), source.read(body)


def _send(answers: BinaryIO, pieces: list[bytes]) -> None:
    answers.writelines(pieces)
    answers.flush()


def _lengths(head: bytes, body: int) -> bytes:
    return LENGTHS.pack(len(head), body)


def _code() -> list[Path]:
    """Return what a child may read of our own code: what stands beside it may be a hub's data."""
    root = Path(sys.path[0])
    return [root / "services" / "__init__.py", root / "services" / "renderer", root / "shared"]


def _too_large(limit_bytes: int) -> Finding:
    return Finding(
        code="render.too-large",
        message=f"the rendered objects take more than {limit_bytes} bytes",
        hint="split the app",
    )
