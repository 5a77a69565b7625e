"""Poller and auditor as programs of their own: told by the environment, ended by SIGTERM."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE

import pytest

from shared.runtime.settings import write_credentials
from tests.support.data import PROJECT


@pytest.mark.parametrize(("program", "says"), [("poller", "render_requested"), ("auditor", "api_ready")])
async def test_a_program_starts_from_its_environment_and_ends_on_sigterm(
    bus_server, local_git, tmp_path, program, says
):
    """A36."""
    local_git.commit("fleet", {"a": "1"})
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "identity.json").write_text(json.dumps({"hub": "hub1", "key_set": "{}"}))
    write_credentials(tmp_path / "bus.json", bus_server.credentials(program))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TOWLINE_")},
        "TOWLINE_DATA": str(tmp_path),
        "TOWLINE_BUS_URLS": bus_server.url,
        "TOWLINE_BUS_CREDENTIALS": str(tmp_path / "bus.json"),
        "TOWLINE_POLLER_SOURCES": f"fleet={local_git.path('fleet')}",
        "TOWLINE_AUDITOR_LISTEN": "127.0.0.1:0",
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{program}"), stderr=PIPE, cwd=PROJECT, env=environment
    )
    try:
        async with asyncio.timeout(30):
            while says not in (line := (await child.stderr.readline()).decode()):
                assert line
            child.terminate()
            _, rest = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()

    assert child.returncode == 0, rest.decode()
    assert "program_cancelled" not in rest.decode()
