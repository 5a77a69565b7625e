"""The git repository of the demo, written the way its user writes one: with git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.cli.hubs import CommandError

TIMEOUT_S = 30
# Nobody's configuration, hooks or signing keys: the demo's commits are its own.
_SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_NAME": "Towline demo" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "demo@example.org" for who in ("AUTHOR", "COMMITTER")},
}


class Repository:
    """A work tree in `folder`, and the bare repository `folder.git` that it pushes to."""

    def __init__(self, folder: Path) -> None:
        self._work = folder
        self.bare = folder.with_suffix(".git")
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str], subject: str) -> str:
        """Write `files`, commit and push them, and return the commit."""
        for name, content in files.items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", subject)
        self._git("push", "--quiet", str(self.bare), "main")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | _SETTINGS
        try:
            made = subprocess.run(
                ["git", *arguments],  # noqa: S607 - the user's own git
                cwd=self._work,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=TIMEOUT_S,
            )
        except FileNotFoundError as error:
            raise CommandError("the demo needs git", code="cli.no-git", hint="install git, then try again") from error
        except subprocess.CalledProcessError as error:
            raise CommandError(f"git {arguments[0]} failed: {error.stderr.strip()}", code="cli.git") from error
        return made.stdout.strip()
