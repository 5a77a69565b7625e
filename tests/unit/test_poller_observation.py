"""What is observed is numbered and published; what fails changes a status and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from services.poller import observation
from services.poller.chains import Chain
from services.poller.observation import OUTBOX, Sighting, answered, needed, observed, republished, request_of, requested
from services.poller.refs import Chosen, StaleReplicaError
from services.poller.state import Followed, Outgoing, SourceState
from shared.git.remote import SourceError
from shared.messages.blobs import BlobRef
from shared.messages.sources import Commit, History, Needs, Wanted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAIN, LIB = ("https://h/fleet", ""), ("https://h/lib", "v1.x")
REF = "refs/heads/main"
FRESH = SourceState(main=Followed(repository=MAIN[0], asked_ref=MAIN[1]))


def sighting(commit: str, key=MAIN, history=History.FORWARD, superseded=()) -> Sighting:
    facts = Commit(id=commit, tree=f"tree-{commit}", committed_at=NOW)
    return Sighting(key, Chosen(REF, commit), facts, history, superseded)


def seen(state: SourceState, *sightings: Sighting, at=NOW) -> SourceState:
    return observed(state, "fleet", sightings, at)


def packed(state: SourceState, key=MAIN, digest: str = "d1") -> SourceState:
    tree = observation.find(state, key).revision.commit.tree
    chain = Chain(tree=tree, full_tree=tree, packs=(BlobRef(digest=digest, bytes=1),))
    return observation.with_chain(state, key, chain)


def needs(*repositories, number=10, lost=()) -> Needs:
    wanted = tuple(Wanted(repository=repository, ref=ref) for repository, ref in repositories)
    return Needs(source="fleet", number=number, repositories=wanted, lost_packs=tuple(lost))


def facts(state: SourceState) -> list[str]:
    return [item.fact.type for item in state.outbox if item.fact]


def test_a_tip_is_numbered_by_the_clock():
    assert seen(FRESH, sighting("a")).number == int(NOW.timestamp() * 1000)


def test_numbers_rise_even_when_the_clock_goes_back():
    first = seen(FRESH, sighting("a"))

    assert seen(first, sighting("b"), at=NOW - timedelta(days=1)).number == first.number + 1


def test_a_revision_names_the_tip_before():
    state = seen(seen(FRESH, sighting("a", history=History.FIRST)), sighting("b"))

    assert state.outbox[-1].revision.previous == "a"


def test_tips_of_one_look_share_a_number_and_a_request():
    state = seen(needed(FRESH, needs(LIB), NOW), sighting("a"), sighting("l", LIB))

    assert {item.revision.number for item in state.outbox} == {state.number} == {state.request_number}


def test_superseded_commits_and_a_rewritten_history_are_facts():
    state = seen(FRESH, sighting("c", history=History.REWRITTEN, superseded=("b",)))

    assert facts(state) == ["revision-superseded", "history-rewritten"]


def test_a_failure_is_stated_once_and_keeps_the_tip():
    state = seen(FRESH, sighting("a"))
    gone = SourceError("gone", code="source.not-found")
    failing = answered(answered(state, "fleet", {MAIN: gone}, NOW), "fleet", {MAIN: gone}, NOW + timedelta(hours=1))

    assert facts(failing) == ["source-failed"]
    assert failing.main.failing.since == NOW
    assert failing.main.revision == state.main.revision
    assert failing.request_number == state.request_number


def test_another_reason_is_another_fact_of_the_same_failure():
    failing = answered(FRESH, "fleet", {MAIN: SourceError("x", code="source.auth")}, NOW)
    failing = answered(failing, "fleet", {MAIN: SourceError("y", code="source.timeout")}, NOW + timedelta(1))

    assert facts(failing) == ["source-failed", "source-failed"]
    assert failing.main.failing.since == NOW


def test_a_recovery_is_stated_once():
    failing = answered(FRESH, "fleet", {MAIN: SourceError("x")}, NOW)
    well = answered(answered(failing, "fleet", {MAIN: None}, NOW), "fleet", {MAIN: None}, NOW)

    assert facts(well) == ["source-failed", "source-recovered"]


def test_a_need_waits_for_its_first_answer():
    state = packed(seen(FRESH, sighting("a"))).model_copy(update={"request_reason": ""})

    assert needed(state, needs(LIB), NOW).request_reason == ""


@pytest.mark.parametrize("answer", ["tip", "failure"])
def test_the_answer_of_a_need_asks_for_a_render(answer):
    state = packed(seen(FRESH, sighting("a"))).model_copy(update={"request_reason": ""})
    state = needed(state, needs(LIB), NOW)
    if answer == "tip":
        request = request_of(packed(seen(state, sighting("l", LIB)), LIB), "fleet", NOW)
        assert [other.commit.id for other in request.others] == ["l"]
    else:
        request = request_of(answered(state, "fleet", {LIB: SourceError("gone")}, NOW), "fleet", NOW)
        assert [failure.asked_ref for failure in request.failures] == ["v1.x"]
    assert request.number > state.number


def test_a_need_that_fails_later_is_rendered_from_its_last_tip():
    state = packed(seen(needed(FRESH, needs(LIB), NOW), sighting("a"), sighting("l", LIB)))
    state = answered(packed(state, LIB), "fleet", {LIB: SourceError("gone")}, NOW)
    request = request_of(state, "fleet", NOW)

    assert [other.commit.id for other in request.others] == ["l"]
    assert request.failures == ()


def test_repeated_needs_change_nothing():
    state = needed(seen(FRESH, sighting("a")), needs(LIB), NOW)

    assert needed(state, needs(LIB), NOW) == state


def test_older_needs_are_ignored():
    state = needed(FRESH, needs(LIB, number=10), NOW)

    assert needed(state, needs(number=9), NOW) == state


def test_what_is_no_longer_needed_is_no_longer_followed():
    assert needed(needed(FRESH, needs(LIB), NOW), needs(number=11), NOW).others == ()


def test_a_need_for_the_fleets_own_repository_is_answered_at_once():
    state = packed(seen(FRESH, sighting("a"))).model_copy(update={"request_reason": ""})
    request = request_of(needed(state, needs(MAIN), NOW), "fleet", NOW)

    assert request.reason == "needs"
    assert [other.commit.id for other in request.others] == ["a"]


def test_lost_packs_are_made_anew_by_a_new_request():
    state = packed(seen(FRESH, sighting("a")), digest="lost")
    again = needed(state, needs(number=state.number, lost=["lost"]), NOW)

    assert again.main.chain is None
    assert again.request_number > state.request_number


def test_packs_lost_before_the_last_request_are_no_news():
    state = packed(seen(FRESH, sighting("a")), digest="lost")

    assert needed(state, needs(number=state.number - 1, lost=["lost"]), NOW).main.chain == state.main.chain


def test_no_request_is_made_without_a_tip():
    assert requested(FRESH, "sync", NOW) == FRESH


def test_a_new_bus_is_told_everything_again_in_the_same_words():
    state = packed(seen(FRESH, sighting("a"))).model_copy(update={"outbox": (), "request_reason": ""})
    again = republished(state, NOW + timedelta(hours=1))

    assert [item.revision for item in again.outbox] == [state.main.revision]
    assert again.main.chain is None
    assert (again.request_reason, again.request_number > state.request_number) == ("rebuild", True)


def test_what_waits_while_the_bus_is_away_is_bounded_and_no_tip_is_forgotten():
    state = FRESH
    for index in range(3 * OUTBOX):
        state = seen(state, sighting(f"c{index}"))

    waiting = [item.revision for item in state.outbox if item.revision]
    told = {revision.commit.id for revision in waiting} | {old for each in waiting for old in each.superseded}
    assert len(state.outbox) <= OUTBOX
    assert told == {f"c{index}" for index in range(3 * OUTBOX)}


def test_a_state_survives_its_file():
    state = packed(seen(needed(FRESH, needs(LIB), NOW), sighting("a"), sighting("l", LIB)))

    assert SourceState.from_bytes(state.to_bytes()) == state


def test_a_fact_keeps_its_id_when_it_is_stated_again():
    one, two = (seen(FRESH, sighting("c", history=History.REWRITTEN)) for _ in range(2))

    assert one.outbox == two.outbox
    assert isinstance(one.outbox[-1], Outgoing)


def test_a_source_that_moved_begins_a_history_of_its_own_and_numbers_on():
    before = seen(FRESH, sighting("a"))
    moved = observation.configured(before, "https://h/new", "main")

    assert observation.configured(before, *MAIN) == before
    assert moved.main == Followed(repository="https://h/new", asked_ref="main")
    assert (moved.number, moved.outbox) == (before.number, before.outbox)


def test_what_was_published_leaves_the_outbox_and_what_came_meanwhile_stays():
    first = seen(FRESH, sighting("a"))
    second = seen(first, sighting("b"))
    after = observation.published(second, first.outbox)

    assert [item.revision.commit.id for item in after.outbox] == ["b"]
    assert observation.request_published(after, first.request_number).request_reason == "commit"
    assert observation.request_published(after, second.request_number).request_reason == ""


def test_the_packs_of_what_is_no_longer_followed_are_forgotten():
    chain = Chain(tree="t", full_tree="t", packs=(BlobRef(digest="d", bytes=1),))

    assert observation.with_chain(FRESH, LIB, chain) == FRESH


def stale(state, at):
    return answered(state, "fleet", {MAIN: StaleReplicaError("behind")}, at)


def good(state, at):
    return answered(state, "fleet", {MAIN: None}, at)


def test_a_server_that_shows_two_tips_in_turn_is_told_once_in_a_while_f17():
    """F17: a hundred turns in half an hour are no two hundred facts, and no tip."""
    state = first = seen(FRESH, sighting("a"), at=NOW)
    for turn in range(100):
        state = stale(state, NOW + timedelta(seconds=20 * turn + 10))
        state = good(state, NOW + timedelta(seconds=20 * turn + 20))

    assert facts(state).count("source-failed") <= 4
    assert state.main.failing.code == "source.stale-replica"
    assert (state.number, state.main.revision) == (first.number, first.main.revision)


def test_a_stale_replica_is_over_with_the_next_tip_and_after_a_while():
    behind = stale(seen(FRESH, sighting("a")), NOW + timedelta(seconds=1))
    moved = good(seen(behind, sighting("b"), at=NOW + timedelta(seconds=2)), NOW + timedelta(seconds=2))

    assert moved.main.failing is None
    assert good(behind, NOW + timedelta(seconds=2)).main.failing is not None
    assert good(behind, NOW + timedelta(minutes=11)).main.failing is None


def test_a_tag_that_moved_is_called_so():
    tag = Sighting(MAIN, Chosen("refs/tags/v1", "b"), sighting("b").commit, History.REWRITTEN, ())
    (fact,) = [item.fact for item in seen(seen(FRESH, sighting("a")), tag).outbox if item.fact]

    assert (fact.type, fact.message) == (
        "history-rewritten",
        "refs/tags/v1 was moved, or a tag of a newer version went away: a was there",
    )


def test_what_no_app_names_any_more_is_told_and_forgotten():
    state = needed(needed(seen(FRESH, sighting("a")), needs(LIB), NOW), needs(number=11), NOW)

    assert facts(state) == ["source-dropped"]
    assert state.others == ()
