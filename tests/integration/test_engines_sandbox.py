"""What a confined process cannot do, tried from inside; and what happens where the kernel offers no confinement."""

import asyncio
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from services.renderer.engines import Engines, child
from services.renderer.engines.child import SandboxError
from tests.support.rendering import config_map, plain

PROJECT = Path(__file__).resolve().parents[2]
INSIDE = """
import json, socket, sys
from pathlib import Path
sys.path.insert(0, {project!r})
from services.renderer import sandbox

def tried(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"

server = socket.create_server(("127.0.0.1", 0))
work, other = Path({work!r}), Path({other!r})
sandbox.limit(sandbox.Limits(file_bytes=1000))
{confine}
print(json.dumps({{
    "own file": tried(lambda: (work / "a").write_text("a")),
    "large file": tried(lambda: (work / "b").write_text("a" * 2000)),
    "read": tried(lambda: (other / "secret").read_text()),
    "write": tried(lambda: (other / "b").write_text("b")),
    "list": tried(lambda: list(other.iterdir())),
    "passwords": tried(lambda: Path("/etc/passwd").read_text()),
    "environment": tried(lambda: Path("/proc/1/environ").read_bytes()),
    "connect": tried(lambda: socket.create_connection(server.getsockname(), 1)),
}}))
"""


def inside(tmp_path, confine):
    for name in ("work", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "secret").write_text("canary")
    places = {"project": str(PROJECT), "work": str(tmp_path / "work"), "other": str(tmp_path / "other")}
    script = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)" + INSIDE.format(confine=confine, **places)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_a_child_loads_nothing_that_only_the_service_needs():
    program = "import sys, services.renderer.engines.worker, services.renderer.engines.plain; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)

    assert not {"pydantic", "shared.fleet.files"} & set(run.stdout.split())


def test_a_confined_process_has_its_folder_and_nothing_else(tmp_path):
    """S2, S3, A17."""
    tried = inside(tmp_path, "assert sandbox.confine(work, []) == []")

    refused = dict.fromkeys(("read", "write", "list", "passwords", "environment"), "PermissionError")
    assert tried == {"own file": "done", "large file": "OSError", "connect": "OSError", **refused}


def test_without_namespaces_landlock_denies_connections(tmp_path):
    """S3: as in most containers."""
    tried = inside(tmp_path, "sandbox._leave_network = lambda: False; assert sandbox.confine(work, []) == []")

    assert tried["connect"] == "PermissionError"


@pytest.fixture
def unconfinable(monkeypatch):
    """Children that find a kernel without Landlock."""
    cut = "import services.renderer.sandbox as s; s.confine = lambda *_: ['files: no Landlock']; "
    monkeypatch.setattr(child, "_PROGRAM", child._PROGRAM.replace("from services", f"{cut}from services"))


async def test_where_engines_cannot_be_confined_nothing_is_rendered_unless_allowed(unconfinable):
    inputs = plain({"a.yaml": config_map()})
    async with Engines() as strict, Engines(allow_unsandboxed=True) as trusting:
        with pytest.raises(SandboxError, match="no Landlock") as error:
            await strict.bundle(inputs)

        assert "allowUnsandboxed" in error.value.hint
        assert await trusting.render(inputs)


BUSY = """
import asyncio, sys
sys.path.insert(0, {project!r})
from services.renderer.engines.child import Child
from services.renderer.engines.jobs import Job
from services.renderer.sandbox import Limits

LOOP = b"{{% for a in range(99999) %}}{{% for b in range(99999) %}}{{% endfor %}}{{% endfor %}}"

async def main():
    child = await Child.start(Limits(), allow_unsandboxed=False)
    print(child.pid, flush=True)
    await child.render(Job("plain", "web", "web", groups=(("a.yaml",),), template="jinja", values="{{}}", files={{"a.yaml": LOOP}}))

asyncio.run(main())
"""


async def test_a_renderer_that_is_killed_leaves_no_busy_child_behind():
    """I11."""
    program = BUSY.format(project=str(PROJECT))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    child = os.pidfd_open(int(await parent.stdout.readline()))
    try:
        parent.kill()
        await parent.wait()
        ended, _, _ = await asyncio.to_thread(select.select, [child], [], [], 20)
    finally:
        os.close(child)

    assert ended == [child]
