"""When a request asks what was answered last, and when it must be looked at all the same."""

from datetime import UTC, datetime

import pytest

from services.renderer.repeats import TIMES, Repeats, Worked, question_of
from shared.core.canonical import digest
from shared.messages.blobs import BlobRef, BundleRef
from shared.messages.renders import Problem, RenderListing, TargetRender
from shared.messages.sources import Checkout, Commit, RenderRequest

BLOB = BlobRef(digest=digest(b""), bytes=1)
BUNDLE = BundleRef(digest=digest(b"a"), size=1, objects=1, blob=BLOB)
GOOD = TargetRender(cluster="c", app="web", bundle=BUNDLE.digest)
BAD = TargetRender(cluster="c", app="web", problems=(Problem(code="render.timeout", message="too slow"),))


def worked(*targets):
    return Worked(
        readable=True, needs=(), charts=(), complete=True, clusters_version=1, listing=RenderListing(targets=targets)
    )


def test_the_last_question_of_a_source_is_answered_from_memory_for_some_time():
    repeats, answer = Repeats(), worked(GOOD)
    repeats.keep("fleet", "a", answer)

    assert repeats.get("other", "a") is None
    assert repeats.get("fleet", "b") is None
    assert [repeats.get("fleet", "a") for _ in range(TIMES + 1)] == [*[answer] * TIMES, None]


@pytest.mark.parametrize("change", ["another question", "a target failed", "another bus"])
def test_what_may_be_otherwise_is_looked_at_anew(change):
    repeats = Repeats()
    repeats.keep("fleet", "a", worked(GOOD))
    if change == "another bus":
        repeats.forget()
    else:
        repeats.keep("fleet", "b" if change == "another question" else "a", worked(BAD))

    assert repeats.get("fleet", "a") is None


def request(tree="1" * 40, number=1, commit="2" * 40):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = Commit(id=commit, tree=tree, committed_at=now)
    checkout = Checkout(
        repository="https://git.example.org/fleet.git", ref="main", asked_ref="main", commit=made, packs=()
    )
    return RenderRequest(source="fleet", number=number, checkout=checkout, requested_at=now)


def test_a_question_is_of_trees_and_clusters_not_of_commits():
    asked = question_of(request(), b"clusters")

    assert question_of(request(number=2, commit="3" * 40), b"clusters") == asked
    assert question_of(request(tree="4" * 40), b"clusters") != asked
    assert question_of(request(), b"other clusters") != asked
