"""Bare repositories that obey nobody's configuration.

libgit2 reads the system's and the user's git configuration when it opens a repository: a rewritten URL, a proxy or a
broken file there would change what the hub does. Importing this module takes those places away, for this process.
"""

from __future__ import annotations

from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, RepositoryOpenFlag

for _level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
    pygit2.settings.search_path[_level] = ""


def open_bare(path: Path) -> pygit2.Repository:
    """Return the bare repository at `path`, made when there is none."""
    if (path / "HEAD").exists():
        return pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE)
    return pygit2.init_repository(str(path), bare=True)
