"""Help is there at once: it loads neither an event loop, nor an HTTP client, nor what reads fleets or runs programs."""

import subprocess
import sys

SLOW = ["aiohttp", "asyncio", "markdown_it", "nats", "pydantic", "pygments", "services.renderer", "structlog", "yaml"]
WALK = f"""
import sys
from services.cli.main import app

def commands(app, words=()):
    yield words, list(app)
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*words, name))

for words, below in commands(app):
    print("== towline", *words)
    try:
        app([*words, "--help"])
    except SystemExit as end:
        assert not end.code, words
    print("kind:", "group" if any(not name.startswith("-") for name in below) else "command")
print("loaded:", [name for name in {SLOW} if name in sys.modules])
"""


def test_help_of_every_command_has_an_example_and_loads_nothing_slow():
    made = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, check=True)
    told, _, loaded = made.stdout.rpartition("loaded: ")
    commands = [each for each in told.split("== ") if each.endswith("kind: command\n")]

    assert loaded == "[]\n"
    assert len(commands) >= 23
    assert [each for each in commands if f"Example: {each.splitlines()[0]}" not in each] == []


def test_a_shell_completes_commands_and_choices_by_itself(tmp_path):
    """No process of ours runs at a Tab: there is none to find."""
    made = subprocess.run(
        [sys.executable, "-m", "services.cli", "completion", "bash"], capture_output=True, text=True, check=True
    )
    asked = 'COMP_WORDS=(towline get tar) COMP_CWORD=2; _towline; echo "${COMPREPLY[@]}"'
    bash = ["/bin/bash", "--norc", "-c", f"{made.stdout}\n{asked}"]
    told = subprocess.run(bash, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)

    assert sorted(told.stdout.split()) == ["target", "targets"]
