"""Whether two texts name the same repository.

A forge spells its repositories in several ways, and a source names one of them. Texts are taken apart and their parts
compared, never made into a pattern; scheme, user, port and case say how to get there, not what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 2000
"""Characters; nothing longer names a repository."""

_SSH = "ssh"
_DISK = "file"
_SSH_HOSTS = ("ssh.", "altssh.")
"""Beginnings of the hosts that forges keep for ssh through port 443."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a text says that a repository is, in small letters."""

    scheme: str
    hosts: frozenset[str]
    """The names of its host, `file` for this machine's disk; empty where only the end of a path is said: `PROJECT/name`."""
    path: tuple[str, ...]


def address_of(text: str) -> Address | None:
    """Return what `text` says: a URL, `user@host:path` as ssh takes it, or a path; None when it is none of them."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        return None
    scheme, mark, rest = text.lower().partition("://")
    if mark:
        authority, _, path = rest.partition("/")
    else:
        scheme, authority, path = _without_scheme(scheme)
    user, _, place = authority.rpartition("@")
    host = place.partition("]")[0] + "]" if place.startswith("[") else place.partition(":")[0]
    steps = path.strip("/").removesuffix(".git").split("/")
    if not scheme or user.startswith("-") or not all(steps) or (mark and not host and scheme != _DISK):
        return None
    host, steps = _azure(host, steps)
    hosts = {_DISK} if scheme == _DISK else {host}
    hosts |= {host.removeprefix(each) for each in _SSH_HOSTS if scheme == _SSH}
    return Address(scheme, frozenset(filter(None, hosts)), tuple(steps))


def same_repository(one: str, other: str) -> bool:
    """Tell whether two texts name one repository."""
    first, second = address_of(one), address_of(other)
    if first is None or second is None:
        return False
    if first.hosts and second.hosts:
        return first.path == second.path and not first.hosts.isdisjoint(second.hosts)
    short, long = sorted((first.path, second.path), key=len)
    return long[-len(short) :] == short


def shown(text: str) -> str:
    """Return `text` for people to read, without what stands before the host of a URL: it may be a token."""
    scheme, mark, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path if scheme and mark else text


def _without_scheme(text: str) -> tuple[str, str, str]:
    """Return scheme, authority and path of a text without a scheme."""
    place, colon, path = text.partition(":")
    if text.startswith("/"):
        return _DISK, "", text
    if not colon or "/" in place:
        return "path", "", text
    port, more, rest = path.partition(":")
    return _SSH, place, rest if more and port.isdecimal() else path


def _azure(host: str, steps: list[str]) -> tuple[str, list[str]]:
    """Return one spelling for the four that Azure DevOps has."""
    match host.split("."), steps:
        case (["ssh", "dev", "azure", "com"] | ["vs-ssh", "visualstudio", "com"], ["v3", owner, project, name]):
            return "dev.azure.com", [owner, project, "_git", name]
        case ([owner, "visualstudio", "com"], ["defaultcollection", *rest] | [*rest]):
            return _azure("dev.azure.com", [owner, *rest])
        case (["dev", "azure", "com"], [owner, "_git", name]):
            return host, [owner, name, "_git", name]
    return host, steps
