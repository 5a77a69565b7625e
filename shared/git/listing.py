"""Ask a git server for its refs, over HTTP, without libgit2.

A poll happens often and fetches seldom, so it must be cheap, cancellable and small: one connection is kept, version 2
of the protocol names only the refs that are asked for, and every redirect is decided here. libgit2 would follow one to
another port of the same host [measured].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

import aiohttp

from shared.git.answering import MOVED, Asked, answering
from shared.git.heads import bounded
from shared.git.pktlines import (
    check_object_format,
    is_version_2,
    ls_refs_request,
    pkt_lines,
    refs_of_version_0,
    refs_of_version_2,
)
from shared.git.remote import Remote, RemoteRef, SourceError, TransferLimits
from shared.git.urls import Location, UrlError, parse_url

REDIRECTS = 3
_ADVERTISEMENT = "/info/refs?service=git-upload-pack"
_SERVICE = "git-upload-pack"


async def list_refs(
    session: aiohttp.ClientSession, remote: Remote, prefixes: Sequence[str], limits: TransferLimits
) -> tuple[Remote, list[RemoteRef]]:
    """Return the refs that begin with one of `prefixes` (a server of an old version names all), and where they are.

    The place differs from the one asked when the server redirects within its host.

    Raises:
        SourceError: they could not be had.
    """
    url, origin = remote.location.url, remote.location.origin
    asked = Asked(url, origin, origin, "the hub's certificates", "the hub's network")
    async with answering(limits.list_deadline_s, lambda: asked):
        place, lines = await _advertised(session, remote, limits)
        check_object_format(lines)
        if not is_version_2(lines):
            return place, bounded(refs_of_version_0(lines), limits.refs)
        answer = await _body(session, place, ls_refs_request(prefixes), limits)
        return place, bounded(refs_of_version_2(pkt_lines(answer)), limits.refs)


async def _advertised(
    session: aiohttp.ClientSession, remote: Remote, limits: TransferLimits
) -> tuple[Remote, list[bytes]]:
    """Return what the server says first, after the redirects that are allowed."""
    for _ in range(REDIRECTS + 1):
        url = remote.location.url + _ADVERTISEMENT
        async with session.get(url, **_options(remote)) as answer:
            if answer.status not in MOVED:
                _check(answer.status, remote)
                data = await _read(answer, limits)
                break
            remote = _redirected(remote, urljoin(url, answer.headers.get("Location", "")))
    else:
        raise SourceError(f"{remote.location.url} redirects more than {REDIRECTS} times", code="source.redirect")
    return remote, list(pkt_lines(data))


async def _body(session: aiohttp.ClientSession, remote: Remote, request: bytes, limits: TransferLimits) -> bytes:
    options = _options(remote)
    options["headers"] |= {
        "Content-Type": f"application/x-{_SERVICE}-request",
        "Accept": f"application/x-{_SERVICE}-result",
    }
    async with session.post(f"{remote.location.url}/{_SERVICE}", data=request, **options) as answer:
        _check(answer.status, remote)
        return await _read(answer, limits)


def _options(remote: Remote) -> dict[str, Any]:
    headers = {"Git-Protocol": "version=2", "User-Agent": "git/2.0 (towline)"}
    if remote.credentials is not None:
        headers["Authorization"] = remote.credentials.basic
    return {"headers": headers, "allow_redirects": False}


async def _read(answer: aiohttp.ClientResponse, limits: TransferLimits) -> bytes:
    taken = bytearray()
    async for piece in answer.content.iter_any():
        taken += piece
        if len(taken) > limits.listing_bytes:
            raise SourceError(f"the list of refs exceeds {limits.listing_bytes} bytes", code="source.too-large")
    return bytes(taken)


def _check(status: int, remote: Remote) -> None:
    url = remote.location.url
    if status in {401, 403}:
        given = (
            "refuses the credential that the hub has" if remote.credentials else "wants a credential, the hub has none"
        )
        raise SourceError(
            f"{url} {given} for it ({status})",
            code="source.auth",
            hint="renew the token in the poller's settings; it needs read access to the contents",
        )
    if status in {404, 410}:
        raise SourceError(
            f"there is no repository at {url} ({status})",
            code="source.not-found",
            hint="check the URL; many hosts answer so when a credential is missing",
        )
    if status != 200:
        raise SourceError(
            f"{url} answers {status}", hint="ask whoever runs the git server; the hub tries again by itself"
        )


def _redirected(remote: Remote, target: str) -> Remote:
    """Return the place that a redirect leads to.

    Raises:
        SourceError: it leaves the host, or the part of it that the credential is for.
    """
    hint = "name the new URL in the source, if you trust it"
    insecure = remote.location.scheme == "http"
    try:
        place = parse_url(target.removesuffix(_ADVERTISEMENT), allow_insecure=insecure)
    except UrlError as error:
        raise SourceError(f"{remote.location.url} redirects: {error}", code="source.redirect", hint=hint) from error
    if not _same_place(place, remote):
        raise SourceError(f"{remote.location.url} redirects to {place.url}", code="source.redirect", hint=hint)
    return Remote(place, remote.credentials)


def _same_place(place: Location, remote: Remote) -> bool:
    bound = remote.credentials is None or remote.credentials.place.covers(place)
    return place.origin == remote.location.origin and bound
