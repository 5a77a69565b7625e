"""What the README tells a newcomer to type works as it is written."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.script import PROJECT, environment

WHO = {f"GIT_{role}_{part}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def first_use():
    """Return the commands of the first real use, but for setting up, and at a port that is surely free."""
    text = (PROJECT / "README.md").read_text()
    block = re.search(r"## A first real use.*?```\n(.*?)```", text, re.DOTALL)[1]
    commands = block.split("&& cd ../towline-try\n")[1]
    assert commands.count("towline hub run ") == 1
    return commands.replace("towline hub run ", "towline hub run --listen 127.0.0.1:0 ")


@pytest.mark.slow
def test_the_first_real_use_works_as_it_is_written(tmp_path):
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    process = subprocess.Popen(
        ["bash", "-e", "-c", f"{first_use()}wait || true\n"],
        env=environment(PATH=path, HOME=str(tmp_path), **WHO),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=150)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)

    assert process.returncode == 0, err
    assert out.count("1 of 1 targets healthy") == 2
    assert "text: hello" in out
    assert re.search(r"prod-eu-01 +fleet +Synced +Current", out)
