"""Build a kustomization with kubectl, in a folder that holds what git has and nothing else; runs in the confined child.

kubectl itself would fetch remote bases and read folders anywhere on the disk. The child can do neither; `references` finds
such wishes before, so that the error names file and line.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.renderer.engines import kustomize_errors, tools
from services.renderer.engines.jobs import Job
from services.renderer.engines.references import checked
from services.renderer.finish import Piece
from shared.core.canonical import encode
from shared.core.kubeyaml import Limits, documents
from shared.errors import Finding, FindingsError

OUTPUT = Limits(file_bytes=50_000_000, documents=20_000, nodes=5_000_000)


def pieces(job: Job, folder: Path) -> tuple[list[Piece], list[Finding]]:
    """Return the objects of the kustomization `root` with the components `layers` added.

    Raises:
        FindingsError: the files wish for what is not in git, or kubectl refuses them.
    """
    tree = folder / os.urandom(8).hex()
    checked(job.files, (job.root, *job.layers))
    _write(tree, job.files)
    target = tree / job.root
    if job.layers:
        target = folder / "layered"
        target.mkdir()
        relative = [os.path.relpath(tree / path, target) for path in (job.root, *job.layers)]
        (target / "kustomization.yaml").write_bytes(encode({"resources": relative[:1], "components": relative[1:]}))
    output = _built(job, target, tree)
    return [Piece(document.value) for document in documents(output, job.root, limits=OUTPUT)], []


def _built(job: Job, target: Path, tree: Path) -> bytes:
    """Return what kubectl prints for the kustomization at `target`."""
    printed = target.parent / "printed"
    # Collecting garbage costs a third of a short run; only a large one comes near this limit.
    environment = {"HOME": str(tree.parent), "PATH": "", "GOGC": "off", "GOMEMLIMIT": "400MiB", "TZ": "UTC"}
    with printed.open("wb") as output:
        run = subprocess.run(
            [tools.kubectl(), "kustomize", str(target)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=tree,
            check=False,
        )
    if run.returncode != 0:
        words = run.stderr.decode(errors="replace")
        raise FindingsError([kustomize_errors.finding(words, job.files, job.root, (str(tree), str(target)))])
    return printed.read_bytes()


def _write(tree: Path, files: Mapping[str, bytes]) -> None:
    made = set()
    for path, content in files.items():
        target = tree / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_bytes(content)
