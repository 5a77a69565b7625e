"""Launcher of the distribution: find the code, put it first on the path, start the command.

The packages `services` and `shared` have names that other distributions may use too, so the wheel carries them
inside `towline/_code`, and nobody but this command sees them there.
"""

import sys
from pathlib import Path


def main() -> None:
    """Start `towline` with the packaged code, or with the checkout's in a development install."""
    here = Path(__file__).resolve()
    packaged = here.parent / "_code"
    sys.path.insert(0, str(packaged if packaged.is_dir() else here.parents[3]))
    from services.cli.main import main as command  # noqa: PLC0415 - only now is it on the path

    command()
