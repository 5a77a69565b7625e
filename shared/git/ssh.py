"""What ssh needs besides a key: whose host key counts, and what an unknown one means.

libgit2 compares host keys with `.ssh/known_hosts` of a home folder, so it gets one that holds the file of the hub's owner
and nothing else: no configuration, no keys, no agent.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error
from pathlib import Path

from shared.git.remote import SourceError
from shared.git.urls import Location

PORT = 22
NOWHERE = "nowhere.git"
"""The repository in a home that remotes are asked from; it stays empty."""


def make_home(folder: Path, known_hosts: Path) -> None:
    """Make `folder` a home in which `known_hosts` counts, also when that comes or changes later."""
    (folder / ".ssh").mkdir(mode=0o700)
    (folder / ".ssh" / "known_hosts").symlink_to(known_hosts.absolute())


def refused_host(location: Location, home: Path) -> SourceError:
    """Return what is wrong with a host whose key does not count."""
    file = (home / ".ssh" / "known_hosts").resolve()
    name = location.host if location.port == PORT else f"[{location.host}]:{location.port}"
    scan = f"ssh-keyscan -p {location.port} {location.host}"
    try:
        known = is_named(file.read_text(errors="replace"), name)
    except OSError:
        known = False
    if known:
        return SourceError(
            f"the host {name} shows another key than the one in {file}: it was changed, or somebody stands between",
            code="source.host-key",
            hint=f"ask whoever runs the host; if it was changed, write the new key there ({scan})",
        )
    return SourceError(
        f"the host {name} is not known: its key is not in {file}",
        code="source.host-key",
        hint=f"compare what `{scan}` prints with what the host's owner publishes, then add it to the file",
    )


def is_named(text: str, name: str) -> bool:
    """Tell whether a line of a file of known hosts is about `name`."""
    for line in text.splitlines():
        fields = line.split()
        fields = fields[1:] if fields and fields[0].startswith("@") else fields
        if len(fields) >= 3 and any(_means(each, name) for each in fields[0].split(",")):
            return True
    return False


def _means(field: str, name: str) -> bool:
    if not field.startswith("|1|"):
        return field.lower() == name
    try:
        salt, digest = (b64decode(part) for part in field.split("|")[2:4])
    except (Error, ValueError):
        return False
    return hmac.digest(salt, name.encode(), "sha1") == digest
