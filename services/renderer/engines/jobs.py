"""Say what a job for an engine is, and how it and its answer travel between the service and the child.

A message is two lengths of 8 bytes, a JSON head and a body of bytes. Nothing is unpickled: the service believes no child,
for a chart may have taken it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from struct import Struct
from typing import Any

from shared.core.canonical import decode, encode
from shared.errors import Finding

LENGTHS = Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Job:
    """What one engine shall make of these files; the fields are those of `AppInputs`."""

    engine: str
    app: str
    namespace: str
    root: str = ""
    layers: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    template: str = ""
    values: str = ""
    substitute: str = ""
    parameters: str = ""
    schemas: str = ""
    strict: bool = False
    shapes: Mapping[str, bool] = field(default_factory=dict)
    """kustomize: whether kustomizations of these shapes may be built in process."""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child made of a job: a bundle, or the findings that forbid one."""

    data: bytes = b""
    keys: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    shape: str = ""
    """kustomize: the shape of what was built in process."""
    equal: bool | None = None
    """kustomize: whether kubectl made the same; None: it was not asked."""


def job_message(job: Job, cpu_s: int) -> list[bytes]:
    """Return the pieces of the message that carries `job`."""
    head = _parameters(job)
    head["files"] = [[path, len(content)] for path, content in job.files.items()]
    packed = encode({"job": head, "cpu_s": cpu_s})
    return [LENGTHS.pack(len(packed), sum(map(len, job.files.values()))), packed, *job.files.values()]


def _parameters(job: Job) -> dict[str, Any]:
    """Return the fields of `job` but its files, which are large."""
    return {each.name: getattr(job, each.name) for each in fields(job) if each.name != "files"}


def job_of(head: Mapping[str, Any], body: bytes) -> Job:
    """Return the job that a message carries."""
    given = dict(head)
    files, position = {}, 0
    for path, size in given.pop("files"):
        files[path] = body[position : position + size]
        position += size
    given["layers"] = tuple(given["layers"])
    given["groups"] = tuple(map(tuple, given["groups"]))
    return Job(**given, files=files)


def answer_message(answer: Answer) -> list[bytes]:
    """Return the pieces of the message that carries `answer`."""
    head = encode(
        {
            "keys": answer.keys,
            "warnings": [asdict(each) for each in answer.warnings],
            "findings": [asdict(each) for each in answer.findings],
            "shape": answer.shape,
            "equal": answer.equal,
        },
    )
    return [LENGTHS.pack(len(head), len(answer.data)), head, answer.data]


def answer_of(head: bytes, body: bytes) -> Answer:
    """Return the answer that a message carries.

    Raises:
        NotJSONError, TypeError, KeyError: it carries none.
    """
    said = decode(head)
    return Answer(
        data=body,
        keys=tuple(map(str, said["keys"])),
        warnings=tuple(Finding(**each) for each in said["warnings"]),
        findings=tuple(Finding(**each) for each in said["findings"]),
        shape=str(said["shape"]),
        equal=None if said["equal"] is None else bool(said["equal"]),
    )
