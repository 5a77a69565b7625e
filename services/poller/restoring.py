"""Have older commits rendered once more: a bus that was lost took along what clusters still run of them.

Such a request stands beside those for the present tips and changes nothing about them. Nobody waits for it: whoever misses
something still asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from services.poller.observation import charts_of
from services.poller.publishing import Publisher
from services.poller.state import SourceState
from shared import subjects
from shared.errors import PermanentError
from shared.git.mirror import Mirror
from shared.git.remote import SourceError
from shared.git.trees import MissingObjectError
from shared.messages.renders import Provenance
from shared.messages.sources import Checkout, Commit, Lost, RenderRequest
from shared.runtime.logs import get_logger


class CommitGoneError(PermanentError):
    """A commit is no longer in the mirror of its repository."""

    code = "source.commit-gone"


async def restore(publisher: Publisher, lost: Sequence[Lost]) -> tuple[list[str], list[str]]:
    """Ask for what was lost; return the commits that are rendered again, and why others are not.

    Raises:
        TransientError: the bus did not take it.
    """
    asked, failed = [], []
    for each in lost:
        commit = each.provenance[0].commit[:12] if each.provenance else "no commit"
        try:
            await _ask(publisher, each)
        except PermanentError as error:
            get_logger().warning("lost_bundles_not_restored", commit=commit, apps=each.apps, reason=error.message)
            failed.append(f"{commit}: {error.message}")
        else:
            asked.append(commit)
    return asked, failed


async def _ask(publisher: Publisher, lost: Lost) -> None:
    state, source = publisher.watcher.state, publisher.watcher.name
    if not lost.provenance:
        raise CommitGoneError("nothing is known of where it came from")
    checkouts = [await _checkout(publisher, state, each) for each in lost.provenance]
    request = RenderRequest(
        crit=("lost",),
        source=source,
        number=0,
        checkout=checkouts[0],
        others=tuple(checkouts[1:]),
        charts=charts_of(state),
        reason="blobs",
        requested_at=publisher.watcher.now(),
        lost=lost,
    )
    subject = subjects.restore(source, checkouts[0].commit.id)
    await publisher.bus.publish(subject, request.to_bytes())
    get_logger().info("render_requested", source=source, number=0, commit=checkouts[0].commit.id, reason="blobs")


async def _checkout(publisher: Publisher, state: SourceState, part: Provenance) -> Checkout:
    path = publisher.looker.mirror(part.repository)
    try:
        facts = await asyncio.to_thread(lambda: Mirror(path).commit(part.commit))
        pack = await publisher.store_whole(part.repository, facts.tree)
    except (SourceError, MissingObjectError) as error:
        hint = "what nobody has any more is replaced by the next commit that changes these apps"
        raise CommitGoneError(f"the mirror of {part.repository} lacks commit {part.commit}", hint=hint) from error
    commit = Commit.model_validate(asdict(facts))
    asked_ref = _asked_ref(state, part)
    return Checkout(repository=part.repository, asked_ref=asked_ref, ref=part.ref, commit=commit, packs=(pack,))


def _asked_ref(state: SourceState, part: Provenance) -> str:
    """Return how the fleet names this ref: of a repository that is followed at the same one as now."""
    same = (
        each.asked_ref
        for each in state.followed
        if each.repository == part.repository and each.revision is not None and each.revision.ref == part.ref
    )
    return next(same, "")
