"""The command `towline` as people run it, on files that a test writes down."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def written(folder, files):
    """Write files, and return their folder."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def run(*arguments, code=0, program=("-m", "services.cli")):
    """Run the command, which must end with `code` and in words, and return what became of it."""
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
