"""`towline completion`: a script by which a shell completes commands and options without asking this program."""

from __future__ import annotations

from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the script that lets a shell complete commands and options.

    Args:
        shell: Which.
    """
    from services.cli.main import app

    print(app.generate_completion(shell=shell), end="")
    return 0
