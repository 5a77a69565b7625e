"""What the README tells a newcomer to type works as it is written."""

import re
import subprocess
import sys
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
    script = f"set -e\n{first_use()}wait || true\n"
    made = subprocess.run(
        ["bash", "-c", script],
        env=environment(PATH=path, HOME=str(tmp_path), **WHO),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert made.stdout.count("1 of 1 targets healthy") == 2
    assert "text: hello" in made.stdout
    assert re.search(r"prod-eu-01 +fleet +Synced +Current", made.stdout)
