"""The demo as a user runs it: one command, which ends by itself where there is no terminal, and leaves nothing."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.script import environment

STEPS = (
    "starting a hub and 3 simulated clusters",
    "3 agents joined",
    "1. Three apps for every cluster",
    "2. A release of web",
    "refused: ",
    "3 clusters keep running what they ran",
    "4. The next good commit goes through",
    "healed: web runs 3 again",
    "everything ends here; with --keep it would go on running",
)


def demo(tmp_path, *arguments, **more):
    """Run the demo in a session of its own, with its folder in the test's; return it ended, and its process group."""
    command = [sys.executable, "-m", "services.cli", "demo", "--clusters", "3", *arguments]
    given = environment(TMPDIR=str(tmp_path), **more)
    with subprocess.Popen(
        command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        out, err = process.communicate(timeout=150)
    return subprocess.CompletedProcess(command, process.returncode, out, err), process.pid


@pytest.mark.slow
def test_a_demo_without_a_terminal_tells_its_story_and_ends(tmp_path):
    ended, group = demo(tmp_path)
    lines = ended.stdout.splitlines()
    told = [next((at for at, line in enumerate(lines) if step in line), -1) for step in STEPS]

    assert (ended.returncode, ended.stderr) == (0, "")
    assert -1 not in told, ended.stdout
    assert told == sorted(told)
    assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+", lines[-2])
    assert re.fullmatch(r"demo: 3 clusters, 5 commits, slowest commit to last cluster \d+\.\d s", lines[-1])
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_fails_keeps_the_log_that_it_names(tmp_path):
    ended, group = demo(tmp_path, TOWLINE_RENDERER_WORKERS="many")

    assert ended.returncode == 2, ended.stderr
    (folder,) = tmp_path.iterdir()
    assert "the demo's hub ended at once: towline: TOWLINE_RENDERER_WORKERS: " in ended.stderr.splitlines()[-1]
    assert f"what it left stays in {folder}" in ended.stderr
    assert "TOWLINE_RENDERER_WORKERS" in (folder / "hub.log").read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
