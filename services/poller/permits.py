"""Which repositories the hub goes to.

A fleet is written by whoever may push to it, so it cannot send the hub anywhere: only below the prefixes that the hub's
owner allows, which are the hosts of the sources by default. A path on the hub's disk counts only as far as it is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.git.urls import Location, UrlError, parse_url, prefix_of


@dataclass(frozen=True, slots=True)
class Permits:
    """The prefixes below which the hub fetches."""

    prefixes: tuple[Location, ...]

    def location(self, url: str) -> Location:
        """Return the place that `url` names.

        Raises:
            UrlError: it is malformed, or not allowed.
        """
        insecure = any(prefix.scheme in {"http", "file"} for prefix in self.prefixes)
        return self.checked(parse_url(url, allow_insecure=insecure))

    def checked(self, location: Location) -> Location:
        """Return the place itself.

        Raises:
            UrlError: it is not allowed.
        """
        if not self.cover(location):
            raise UrlError(
                f"the hub does not fetch from {location.url}: no allowed prefix covers it",
                hint="add it to the poller's `allow`, or name a repository on an allowed host",
            )
        return location

    def cover(self, location: Location) -> bool:
        """Tell whether a place is allowed."""
        return any(prefix.covers(location) for prefix in self.prefixes)


def permits_of(sources: Iterable[str], allow: Iterable[str]) -> Permits:
    """Return what is allowed: the sources themselves, and the prefixes `allow`, or by default the sources' hosts."""
    own = [parse_url(source, allow_insecure=True) for source in sources]
    stated = [prefix_of(prefix, allow_insecure=True) for prefix in allow]
    hosts = [] if stated else [Location(o.scheme, o.host, o.port, "") for o in own if o.scheme != "file"]
    return Permits((*own, *stated, *hosts))
