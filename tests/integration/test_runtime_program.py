"""A program as a process: start, probes, signals, exit codes."""

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest

from shared import subjects
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.program import until_stopped
from shared.runtime.settings import write_credentials


@asynccontextmanager
async def program(server, folder, **variables):
    """A running child process, killed at the end of the block if it is still there."""
    write_credentials(folder / "renderer.json", server.keys.program_credentials("renderer"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TOWLINE_")},
        "TOWLINE_DATA": str(folder),
        "TOWLINE_BUS_URLS": server.url,
        "TOWLINE_BUS_CREDENTIALS": str(folder / "renderer.json"),
        "PYTHONWARNINGS": "error",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.drained_program",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def log_line(process, event):
    """Read the log up to an event and return its facts."""
    while True:
        entry = json.loads(await process.stderr.readline())
        if entry["event"] == event:
            return entry


async def test_sigterm_finishes_what_is_in_hand_and_takes_nothing_new(bus_server, connect, tmp_path):
    """A36, F28"""
    poller, steward = await connect("poller"), await connect("steward")
    for source in ("one", "two"):
        await poller.publish(subjects.render(source), b"")
    async with program(bus_server, tmp_path) as process:
        assert await process.stdout.readline() == b"begun 1\n"
        process.send_signal(signal.SIGTERM)
        await log_line(process, "program_stopping")
        process.stdin.write(b"go on\n")
        assert await process.stdout.readline() == b"finished 1\n"
        assert await process.wait() == 0
        assert await process.stdout.read() == b""

    info = await steward.api("CONSUMER.INFO.RENDER.renderer", {})
    assert (info["num_pending"], info["num_ack_pending"]) == (1, 0)


async def test_probes_tell_health_readiness_and_measurements(bus_server, tmp_path):
    async with program(bus_server, tmp_path) as process, aiohttp.ClientSession() as http:
        url = (await log_line(process, "program_started"))["probes"]
        ready = {}
        while not ready.get("ready"):
            async with http.get(f"{url}/readyz") as answer:
                ready = await answer.json()
                assert answer.status == (200 if ready["ready"] else 503)
        async with http.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/metrics") as answer:
            text = await answer.text()
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert await process.wait() == 0

    assert ready["parts"] == {"bus": {"ready": True}}
    assert 'towline_bus_connected{program="renderer"} 1.0' in text
    assert re.search(r'towline_build_info{program="renderer",version="[^"]+"} 1.0', text)


async def test_wrong_settings_are_all_named_and_end_the_program(bus_server, tmp_path):
    async with program(bus_server, tmp_path, TOWLINE_LOG_LEVEL="loud", TOWLINE_LOG_FORMAT="xml") as process:
        _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"TOWLINE_LOG_LEVEL" in errors
    assert b"TOWLINE_LOG_FORMAT" in errors


async def test_an_unreachable_bus_is_waited_for(bus_server, tmp_path):
    """An offline bus never ends a program, and SIGTERM still does."""
    async with program(bus_server, tmp_path, TOWLINE_BUS_URLS="nats://127.0.0.1:9") as process:
        await log_line(process, "bus_connection_failed")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.mark.parametrize("mode", ["leak", "crash"])
async def test_secrets_stay_out_of_logs_and_crashes(bus_server, tmp_path, mode):
    """I9: also in the traceback of a bug, which is one line like every other."""
    async with program(bus_server, tmp_path, TOWLINE_RENDERER_MODE=mode) as process:
        if mode == "leak":
            await log_line(process, "program_started")
            process.send_signal(signal.SIGTERM)
        output, errors = await process.communicate()

    credentials = bus_server.keys.program_credentials("renderer")
    assert credentials.seed.encode() not in output + errors
    assert credentials.jwt.split(".")[0].encode() + b"." not in output + errors
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert {"leak": "program_stopped", "crash": "program_crashed"}[mode] in events
    assert process.returncode == {"leak": 0, "crash": 1}[mode]


async def test_what_does_not_end_in_time_is_cancelled():
    """A36: a part that hangs does not keep the program."""
    life, ended = Lifecycle(), []

    async def hang():
        life.stopping.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    await until_stopped(hang(), life, grace_s=0.01)

    assert ended == ["cancelled"]


async def test_readiness_is_that_of_all_parts_and_ends_with_the_stop():
    life = Lifecycle()
    assert not life.readiness()["ready"]
    life.set_ready("bus", True)
    life.set_ready("store", False, "the disk is full")
    assert life.readiness() == {
        "ready": False,
        "parts": {"bus": {"ready": True}, "store": {"ready": False, "why": "the disk is full"}},
    }
    life.set_ready("store", True)
    assert life.readiness()["ready"]

    life.stopping.set()

    assert not life.readiness()["ready"]
    assert await life.pause(60)
