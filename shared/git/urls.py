"""Which repository a URL names, and whether the hub goes there.

Credentials belong to a scheme, host, port and path prefix; so a URL may neither carry credentials nor hide where it
leads: no password, no query, no `..` in any spelling. Only ssh has users, which are no secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from shared.errors import PermanentError

_PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}
_CLEAN = re.compile(r"[!-~]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
# What git calls the scp form; with a user, for else it could be a drive or a helper's name.
_SCP = re.compile(r"([^@:/]+)@([A-Za-z0-9][A-Za-z0-9.-]*):(?!//)(/?[^:]+)")
_HOST = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\]")


class UrlError(PermanentError):
    """The hub does not fetch from this URL; the message never holds what stands before an `@`."""

    code = "source.not-allowed"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a repository is."""

    scheme: str
    host: str
    """In small letters; empty for a path on disk."""
    port: int
    path: str
    """Begins with a slash; without a slash at the end."""
    user: str = ""
    """Who logs in by ssh, as far as the URL says so."""
    relative: bool = False
    """The path begins in the user's home, as in `git@host:path`."""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a credential, a redirect and a host's back-off are about."""
        default = self.port == _PORTS[self.scheme]
        return f"{self.scheme}://{self.host}" if default else f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL to fetch from."""
        if self.scheme == "file":
            return self.path
        user = f"{self.user}@" if self.user else ""
        if self.relative:
            return f"{user}{self.host}:{self.path[1:]}"
        scheme, _, place = self.origin.partition("://")
        return f"{scheme}://{user}{place}{self.path}"

    @property
    def identity(self) -> str:
        """One text for all spellings of the same repository."""
        return self.origin + "/~" * self.relative + self.path.removesuffix(".git")

    def covers(self, other: Location) -> bool:
        """Tell whether `other` is this place, or lies below it."""
        prefix = self.path.removesuffix(".git").rstrip("/")
        inside = other.path.removesuffix(".git")
        return self.origin == other.origin and (inside == prefix or inside.startswith(prefix + "/"))


def parse_url(text: str, *, allow_insecure: bool = False) -> Location:
    """Return the place that `text` names; `allow_insecure` adds paths on disk, and http to this machine.

    Raises:
        UrlError: it is malformed, carries credentials, or is of a kind that the hub does not fetch from.
    """
    text = text.strip()
    if not _CLEAN.fullmatch(text):
        raise UrlError(f"the URL {text!r} is empty or holds a space, a control or a non-ASCII character")
    if text.startswith("/"):
        text = f"file://{text}"
    if "://" not in text and (scp := _SCP.fullmatch(text)):
        return _by_scp(scp, text)
    if "://" not in text or text.startswith("-"):
        hint = "use https://host/path, ssh://user@host/path or user@host:path"
        raise UrlError(f"{_shown(text)} is not a URL that the hub fetches from", hint=hint)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"the URL {_shown(text)} is malformed: {error}") from error
    _check(parts, text, allow_insecure=allow_insecure)
    user, _, place = parts.netloc.rpartition("@")
    host = place.rpartition(":")[0] if port is not None else place.rstrip(":")
    port = _PORTS[parts.scheme] if port is None else port
    return Location(parts.scheme, host.lower(), port, _path(parts.path, text), user)


def _by_scp(match: re.Match[str], text: str) -> Location:
    user, host, path = match.groups()
    if not _USER.fullmatch(user) or not _HOST.fullmatch(host.lower()):
        raise UrlError(f"{_shown(text)} is not a URL that the hub fetches from", hint="use ssh://user@host/path")
    relative = not path.startswith("/")
    return Location("ssh", host.lower(), _PORTS["ssh"], _path("/" + path.lstrip("/"), text), user, relative)


def prefix_of(text: str, *, allow_insecure: bool = False) -> Location:
    """Return the place below which a credential or a permission counts; it may be a whole host.

    Raises:
        UrlError: see `parse_url`.
    """
    text = text.strip().rstrip("/")
    whole_host = "://" in text and "/" not in text.partition("://")[2]
    location = parse_url(text + "/any" if whole_host else text, allow_insecure=allow_insecure)
    return Location(location.scheme, location.host, location.port, "") if whole_host else location


def _check(parts: SplitResult, text: str, *, allow_insecure: bool) -> None:
    user = parts.netloc.rpartition("@")[0]
    if "@" in parts.netloc and not (parts.scheme == "ssh" and _USER.fullmatch(user)):
        raise UrlError(
            f"the URL {_shown(text)} carries credentials",
            code="source.credentials-in-url",
            hint="take them out of the URL; credentials belong into the poller's settings",
        )
    if parts.query or parts.fragment:
        raise UrlError(f"the URL {_shown(text)} has a query or a fragment, which no git repository needs")
    if parts.scheme not in _PORTS:
        raise UrlError(
            f"the hub does not fetch by {parts.scheme!r}: {_shown(text)}",
            hint="use https with a token, or ssh with a key",
        )
    if parts.scheme == "file":
        if parts.netloc or not allow_insecure:
            raise UrlError(f"{_shown(text)} is a path on the hub's disk", hint="use https, or allow_insecure for tests")
        return
    host = (parts.hostname or "").lower()
    if not _HOST.fullmatch(host if ":" not in host else f"[{host}]"):
        raise UrlError(f"the URL {_shown(text)} names no host")
    if parts.scheme == "http" and not (allow_insecure and _is_loopback(host)):
        raise UrlError(f"{_shown(text)} is not encrypted", hint="use https; http serves only tests on loopback")


def _path(path: str, text: str) -> str:
    """Return the path without slashes at its end."""
    decoded = unquote(path)
    segments = decoded.strip("/").split("/")
    same_depth = len(segments) == len(path.strip("/").split("/"))
    # Quotes: an ssh server hands the path to a shell, between such.
    plain = same_depth and not path.startswith("//") and not {"\\", "'"} & set(decoded) and decoded.isprintable()
    if not plain or any(segment in {"", ".", ".."} for segment in segments):
        raise UrlError(f"the URL {_shown(text)} has no path, or one that goes up or hides a slash")
    if segments[0].startswith("-"):
        raise UrlError(f"the path of {_shown(text)} begins with a dash")
    return "/" + path.strip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(text: str) -> str:
    """Return `text` without what could be a credential."""
    scheme, mark, rest = text.partition("://")
    authority, slash, path = (rest if mark else text).partition("/")
    safe = "***@" + authority.rpartition("@")[2] if "@" in authority else authority
    return repr((scheme + mark if mark else "") + safe + slash + path)
