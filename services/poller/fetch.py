"""Look at one repository: ask for its refs, fetch what is new, say how it relates to what was known.

Refs are asked for at every look, objects are fetched only when a tip is not in the mirror yet. A failure of one ref
leaves the others; nothing here changes what a source remembers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from services.poller.credentials import CredentialsFile
from services.poller.observation import Key, Sighting, still_unpacked
from services.poller.permits import Permits
from services.poller.refs import (
    Chosen,
    Doubt,
    RefError,
    StaleReplicaError,
    chosen,
    commit_of,
    doubted,
    history_of,
    is_older,
    prefixes,
)
from services.poller.signers import Signers, SignersError
from services.poller.state import Followed
from services.poller.verifying import UnverifiedError, Verifier
from shared import subjects
from shared.errors import PermanentError, TowlineError
from shared.git.mirror import CommitFacts, Mirror
from shared.git.remote import Remote, SourceError
from shared.git.transport import CONNECTIONS, CONNECTIONS_OF_A_HOST, Transport
from shared.git.urls import Location
from shared.messages.sources import Commit, History

SUPERSEDED = 1000


@dataclass(slots=True)
class Look:
    """What a look at one repository found."""

    sightings: list[Sighting] = field(default_factory=list)
    answers: dict[Key, TowlineError | None] = field(default_factory=dict)
    """For each ref why it cannot be had, or None; what is left out says nothing new."""
    doubts: dict[Key, Doubt] = field(default_factory=dict)
    verified: dict[Key, str] = field(default_factory=dict)
    """The rules of signatures that tips passed."""

    @property
    def code(self) -> str:
        """Why the look failed, or nothing: wrong refs and missing signatures do not speak against their host."""
        ours = (RefError, UnverifiedError, SignersError)
        return min((e.code for e in self.answers.values() if e is not None and not isinstance(e, ours)), default="")


class Looker:
    """Looks at repositories; each has one mirror below `mirrors`, whoever follows it."""

    def __init__(
        self, transport: Transport, mirrors: Path, permits: Permits, credentials: CredentialsFile, signers: Signers
    ) -> None:
        self._signers = signers
        self._transport = transport
        self._mirrors = mirrors
        self._permits = permits
        self._credentials = credentials
        self._in_use: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._fetches = asyncio.Semaphore(CONNECTIONS)
        self._fetches_of: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(CONNECTIONS_OF_A_HOST)
        )

    def location(self, repository: str) -> Location:
        """Return where a repository is.

        Raises:
            UrlError: the hub does not go there.
        """
        return self._permits.location(repository)

    def mirror(self, repository: str) -> Path:
        """Return the folder of a repository's mirror.

        Raises:
            UrlError: the hub does not go there.
        """
        identity = self._permits.location(repository).identity
        return self._mirrors / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.git"

    async def look(self, source: str, followed: Sequence[Followed], doubts: Mapping[Key, Doubt]) -> Look:
        """Look at the refs `followed`, all of one repository."""
        look = Look()
        try:
            location = self.location(followed[0].repository)
            credentials = await asyncio.to_thread(self._credentials.for_place, location)
            remote = Remote(location, credentials)
            place, tips = await self._tips(remote, followed, look)
            found = await self._found(remote, place, set(tips.values()))
        except (SourceError, PermanentError) as error:
            look.answers.update({each.key: error for each in followed if each.key not in look.answers})
            return look
        mirror = Mirror(self.mirror(location.url))
        study = _Study(mirror, source, found, doubts, look, Verifier(mirror, self._signers, datetime.now(UTC)))
        for each in followed:
            if each.key in tips and not still_unpacked(each, tips[each.key]):
                await asyncio.to_thread(study.learn, each, tips[each.key])
        return look

    async def _tips(
        self, remote: Remote, followed: Sequence[Followed], look: Look
    ) -> tuple[Remote | None, dict[Key, Chosen]]:
        """Return where the repository is, and what the wanted refs mean now; those that mean nothing are answered.

        Commits are what they are: of them alone nobody is asked, and the place stays unknown.
        """
        wanted: dict[str, None] = {}
        tips: dict[Key, Chosen] = {}
        named: list[Followed] = []
        for each in followed:
            if commit := commit_of(each.asked_ref):
                tips[each.key] = Chosen(commit, commit)
                continue
            try:
                wanted.update(dict.fromkeys(prefixes(each.asked_ref)))
                named.append(each)
            except RefError as error:
                look.answers[each.key] = error
        if not named:
            return None, tips
        place, listed = await self._transport.list_refs(remote, list(wanted))
        for each in named:
            try:
                tip = chosen(each.asked_ref, listed)
                tips[each.key] = tip if each.verify else replace(tip, tag="")
            except RefError as error:
                look.answers[each.key] = error
        return place, tips

    async def _found(self, remote: Remote, place: Remote | None, tips: AbstractSet[Chosen]) -> dict[str, str]:
        """Have the mirror hold the tips; return the object of each ref, as it was when it was fetched."""
        path = self.mirror(remote.location.url)
        async with self._in_use[path]:
            found = {tip.ref: tip.tag or tip.commit for tip in tips}
            missing = await asyncio.to_thread(_missing, path, tips)
            if not missing:
                return found
            if place is None:
                # Whether a redirect may be followed is decided there; libgit2 would follow one to another port.
                place, _ = await self._transport.list_refs(remote, ["HEAD"])
            async with self._turn(remote.location):
                fetched = await self._transport.fetch(place, path, missing)
        return {ref: commit for ref, commit in found.items() if ref not in missing} | fetched

    @asynccontextmanager
    async def _turn(self, location: Location) -> AsyncIterator[None]:
        """Wait for a turn: few fetches of a host, and a bounded number at all."""
        async with AsyncExitStack() as turns:
            if location.scheme != "file":
                await turns.enter_async_context(self._fetches_of[location.origin])
            await turns.enter_async_context(self._fetches)
            yield


def _missing(path: Path, tips: Iterable[Chosen]) -> set[str]:
    """Return the refs whose tips the mirror does not hold."""
    mirror = Mirror(path)
    return {tip.ref for tip in tips if not mirror.has(tip.commit) or (tip.tag and not mirror.has(tip.tag))}


@dataclass(frozen=True, slots=True)
class _Study:
    """Compares tips that the mirror holds with those known before. Its method blocks."""

    mirror: Mirror
    source: str
    found: Mapping[str, str]
    doubts: Mapping[Key, Doubt]
    look: Look
    verifier: Verifier

    def learn(self, followed: Followed, tip: Chosen) -> None:
        """Say what the tip of one ref means."""
        if tip.ref not in self.found:
            gone = SourceError(f"{tip.ref} went away while it was fetched", code="source.ref-missing")
            self.look.answers[followed.key] = gone
            return
        try:
            facts = self.mirror.commit(self.found[tip.ref])
        except SourceError as error:
            self.look.answers[followed.key] = error
            return
        self.look.answers[followed.key] = None
        tip = Chosen(tip.ref, facts.id)
        known = followed.revision
        before = Chosen(known.ref, known.commit.id) if known is not None else None
        if (tip != before and self._doubts(followed.key, before, tip)) or not self._verified(followed, tip):
            return
        if tip == before:
            return
        builds_on = before is not None and self.mirror.is_ancestor(before.commit, tip.commit)
        history = history_of(before, tip, builds_on=builds_on)
        superseded: tuple[str, ...] = ()
        if before is not None and (builds_on or history is History.REWRITTEN):
            superseded = self.mirror.between(before.commit, tip.commit, SUPERSEDED)
        self.mirror.keep_tip(f"{self.source}-{subjects.ref_token(followed.asked_ref)}", tip.commit)
        if before is not None and history is History.REWRITTEN:
            self.mirror.keep_old(before.commit)
        self.look.sightings.append(Sighting(followed.key, tip, _commit(facts), history, superseded))

    def _verified(self, followed: Followed, tip: Chosen) -> bool:
        """Tell whether the tip passes the rules of its source; the answer says why not."""
        try:
            self.look.verified[followed.key] = self.verifier.check(followed, tip, self.found[tip.ref])
        except (UnverifiedError, SignersError, SourceError) as error:
            self.look.answers[followed.key] = error
            return False
        return True

    def _doubts(self, key: Key, before: Chosen | None, tip: Chosen) -> bool:
        """Tell whether the tip went back in history and was not seen often enough to be believed."""
        if before is None or before.commit == tip.commit:
            return False
        if not is_older(tip, before) and not self.mirror.is_ancestor(tip.commit, before.commit):
            return False
        doubt = doubted(self.doubts.get(key), tip.commit)
        if doubt is not None:
            self.look.doubts[key] = doubt
            self.look.answers[key] = StaleReplicaError(
                f"{tip.ref} is at {tip.commit[:12]}, which is before {before.commit[:12]} of {before.ref} that was seen already",
                hint="a server that is behind the others, else a history that was set back: the next looks will tell",
            )
        return doubt is not None


def _commit(facts: CommitFacts) -> Commit:
    return Commit(
        id=facts.id, tree=facts.tree, subject=facts.subject, author=facts.author, committed_at=facts.committed_at
    )
