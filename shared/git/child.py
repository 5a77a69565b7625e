"""The program that fetches, and that asks for refs over ssh: a job from standard input, an answer to standard output, until there is no more input.

Each fetch runs in a process of its own because libgit2 cannot be interrupted: the parent kills it at the deadline. It
knows no more than its job: one repository, one credential, one mirror. It is forked from one that waits with Python and
libgit2 loaded, and that reads no job itself: loading takes 0.2 s of a processor.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import astuple
from math import ceil
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import CredentialType
from pygit2.ffi import C

from shared.errors import TowlineError
from shared.git.heads import bounded, refs_of
from shared.git.maintenance import merge_packs, remove_leftovers
from shared.git.remote import HEADS, TAGS, Credentials, SourceError
from shared.git.repositories import open_bare
from shared.git.ssh import NOWHERE, refused_host
from shared.git.urls import Location, UrlError, parse_url

INCOMING = "refs/towline/incoming/"
# Beyond the parent's own deadline: it counts when the parent was killed.
ALARM_GRACE_S = 5
NO_MORE = 3
LISTING_MEMORY = 1 << 30
TOO_LARGE = "source.too-large"
_SMALLER = "raise the poller's limit, or follow a smaller repository"

_CODES = (
    ("status code: 401", "source.auth"),
    ("status code: 403", "source.auth"),
    ("status code: 404", "source.not-found"),
    ("redirect", "source.redirect"),
    ("certificate", "source.tls"),
    ("SSL", "source.tls"),
    ("File too large", TOO_LARGE),
    ("could not find repository", "source.not-found"),
    ("failed to resolve path", "source.not-found"),
    ("does not appear to be a git repository", "source.not-found"),
    ("Repository not found", "source.not-found"),
    ("known_hosts", "source.host-key"),
    ("known hosts", "source.host-key"),
    ("public key", "source.auth"),
    ("private key", "source.auth"),
    ("authenticat", "source.auth"),
)


class _Callbacks(pygit2.RemoteCallbacks):
    """Gives the credential away once, to the place it is for; stops at the limits."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__()
        self._bytes, self._objects = job["bytes"], job["objects"]
        self._credentials = _credentials_of(job)
        self._place, self._home = parse_url(job["url"], allow_insecure=True), Path(job["home"])
        self._asked = 0

    @property
    def fetch_options(self) -> Any:
        """What pygit2 hands to libgit2: none of its redirects leaves the host, where the default lets the first one."""
        return self._options

    @fetch_options.setter
    def fetch_options(self, options: Any) -> None:
        options.follow_redirects = C.GIT_REMOTE_REDIRECT_NONE
        self._options = options

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:  # noqa: FBT001  # pygit2's
        if self._place.scheme == "ssh" and not valid:
            raise refused_host(self._place, self._home)
        return bool(super().certificate_check(certificate, valid, host))

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.UserPass | pygit2.Keypair:
        known = self._credentials
        wanted = CredentialType.SSH_MEMORY if known and known.key else CredentialType.USERPASS_PLAINTEXT
        if known is None or not allowed_types & wanted:
            hint = "give the hub a key for it in its file of credentials" if self._place.scheme == "ssh" else ""
            raise SourceError(f"{url} wants a credential, the hub has none for it", code="source.auth", hint=hint)
        if not known.place.covers(_place(url)):
            raise SourceError(f"{url} wants a credential that is for another place", code="source.redirect")
        self._asked += 1
        if self._asked > 1:
            raise SourceError(f"{url} refuses the credential that the hub has for it", code="source.auth")
        if known.key:
            return pygit2.KeypairFromMemory(username_from_url or known.username, None, known.key, known.password)
        return pygit2.UserPass(known.username, known.password)

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        if stats.received_bytes > self._bytes or stats.total_objects > self._objects:
            raise SourceError(
                f"the fetch exceeds {self._bytes} bytes or {self._objects} objects",
                code=TOO_LARGE,
                hint=_SMALLER,
            )


def main() -> None:
    """Do job after job."""
    answers = os.dup(1)
    os.dup2(2, 1)
    while True:
        job = os.fork()
        if job == 0:
            os._exit(_serve(answers))
        _, status = os.waitpid(job, 0)
        ended = os.waitstatus_to_exitcode(status)
        if ended == NO_MORE:
            return
        if ended:
            _answer(answers, {"ended": ended})


def _serve(answers: int) -> int:
    """Do the next job and return the exit code of its process."""
    line = sys.stdin.readline()
    if not line:
        return NO_MORE
    job = json.loads(line)
    signal.alarm(ceil(job["deadline_s"]) + ALARM_GRACE_S)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["bytes"], job["bytes"]))
    try:
        answer: dict[str, Any] = {"listed": _listed(job)} if "prefixes" in job else {"fetched": _fetched(job)}
    except TowlineError as error:
        answer = {"code": error.code, "message": error.message, "hint": error.hint}
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        code = next((code for text, code in _CODES if text in str(error)), "source.unreachable")
        hint = _SMALLER if code == TOO_LARGE else ""
        answer = {"code": code, "message": f"{job['url']} cannot be fetched: {error}", "hint": hint}
    _answer(answers, answer)
    return 0


def _answer(answers: int, answer: Mapping[str, Any]) -> None:
    with os.fdopen(os.dup(answers), "w") as file:
        file.write(json.dumps(answer) + "\n")


def _listed(job: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the refs that begin with one of the prefixes, as tuples of `RemoteRef`'s fields."""
    # The server names all that it has, before anybody could choose.
    resource.setrlimit(resource.RLIMIT_AS, (LISTING_MEMORY, LISTING_MEMORY))
    remote = _repository(job, Path(job["home"]) / NOWHERE).remotes.create_anonymous(job["url"])
    found = refs_of(remote.list_heads(callbacks=_Callbacks(job)))
    return [astuple(ref) for ref in bounded(found, job["refs"]) if ref.name.startswith(tuple(job["prefixes"]))]


def _repository(job: dict[str, Any], path: Path) -> pygit2.Repository:
    """Return the repository at `path`; of the user's files none counts but those in the job's home."""
    if job["home"]:
        pygit2.option(pygit2.enums.Option.SET_HOMEDIR, job["home"])
    return open_bare(path)


def _fetched(job: dict[str, Any]) -> dict[str, str]:
    """Fetch what is wanted and return the object that each wanted name leads to; what is not there is left out."""
    # Durable when it is reported: what the poller says it has seen survives a power cut.
    pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, True)
    repository = _repository(job, Path(job["mirror"]))
    remove_leftovers(repository)
    try:
        return _taken(repository, job)
    finally:
        # What exceeds a limit is large, and nobody may fetch here for a while.
        remove_leftovers(repository)


def _taken(repository: pygit2.Repository, job: dict[str, Any]) -> dict[str, str]:
    for ref in list(repository.references):
        if ref.startswith(INCOMING):
            repository.references.delete(ref)
    remote = repository.remotes.create_anonymous(job["url"])
    callbacks = _Callbacks(job)
    names = [name for name in job["wanted"] if name.startswith("refs/")]
    commits = [name for name in job["wanted"] if not name.startswith("refs/")]
    if names:
        remote.fetch([f"+{name}:{INCOMING}{index}" for index, name in enumerate(names)], callbacks=callbacks)
    found = {name: repository.references.get(f"{INCOMING}{index}") for index, name in enumerate(names)}
    missing = [commit for commit in commits if commit not in repository]
    if missing:
        _fetch_commits(repository, job, missing)
    merge_packs(repository)
    known = {commit: commit for commit in commits if commit in repository}
    return {name: str(ref.target) for name, ref in found.items() if ref is not None} | known


def _fetch_commits(repository: pygit2.Repository, job: dict[str, Any], commits: list[str]) -> None:
    """Fetch commits by their ids, from a server that refuses that: all branches and tags."""
    remote = repository.remotes.create_anonymous(job["url"])
    try:
        specs = [f"+{commit}:{INCOMING}commits/{commit}" for commit in commits]
        remote.fetch(specs, callbacks=_Callbacks(job))
    except pygit2.GitError:
        everything = [f"+{prefix}*:{INCOMING}{prefix}*" for prefix in (HEADS, TAGS)]
        remote = repository.remotes.create_anonymous(job["url"])
        remote.fetch(everything, callbacks=_Callbacks(job))


def _credentials_of(job: dict[str, Any]) -> Credentials | None:
    if job["credentials"] is None:
        return None
    known = dict(job["credentials"])
    return Credentials(**{**known, "place": Location(**known["place"])})


def _place(url: str) -> Location:
    try:
        return parse_url(url, allow_insecure=True)
    except UrlError as error:
        raise SourceError(f"the server leads to another place: {error.message}", code="source.redirect") from error


if __name__ == "__main__":
    main()
