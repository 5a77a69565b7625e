"""What the archives of charts change in the state of a source: requests for their apps, and facts about failures."""

from datetime import UTC, datetime, timedelta

from services.poller.chains import Chain
from services.poller.charts.deciding import brought, lacking, missed, with_charts
from services.poller.observation import Sighting, observed, republished, request_of, request_published, with_chain
from services.poller.refs import Chosen
from services.poller.state import Followed, SourceState
from shared.git.remote import SourceError
from shared.messages.blobs import BlobRef
from shared.messages.sources import Commit, History, Needs, WantedChart

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
BLOB = BlobRef(digest="b" * 64, bytes=1)
DOWN = SourceError("it is down")


def needs(*digests, number=0, lost=()):
    charts = tuple(WantedChart(url=f"https://charts.example.org/{digest}", digest=digest) for digest in digests)
    return Needs(source="fleet", number=number, charts=charts, lost_packs=tuple(lost))


def ready():
    """A source whose tip was seen, packed and requested."""
    key = ("https://h/fleet", "")
    commit = Commit(id="1" * 40, tree="t", committed_at=NOW)
    sighting = Sighting(key, Chosen("refs/heads/main", commit.id), commit, History.FIRST, ())
    state = observed(SourceState(main=Followed(repository=key[0], asked_ref="")), "fleet", [sighting], NOW)
    state = with_chain(state, key, Chain(tree="t", full_tree="t", packs=(BlobRef(digest="d", bytes=1),)))
    return request_published(state, state.request_number).model_copy(update={"outbox": ()})


def charts(state):
    """Return what a request says of charts: digest, whether it is on the bus, the code of a failure."""
    request = request_of(state, "fleet", NOW)
    return [(each.digest, each.blob is not None, each.failure.code if each.failure else "") for each in request.charts]


def facts(state):
    return [each.fact.type for each in state.outbox]


def test_a_chart_that_came_is_requested_and_stays_while_it_is_needed():
    state = with_charts(ready(), needs("a"))
    assert [each.digest for each in lacking(state)] == ["a"]
    assert not state.request_reason

    state = brought(state, "fleet", "a", BLOB, LATER)
    assert (state.request_reason, charts(state), lacking(state), facts(state)) == ("needs", [("a", True, "")], [], [])
    assert with_charts(state, needs("a", "c")).charts[0].blob == BLOB
    assert with_charts(state, needs()).charts == ()


def test_each_reason_of_a_failure_is_told_once_and_its_end_too():
    state = missed(with_charts(ready(), needs("a")), "fleet", "a", DOWN, LATER)
    assert (state.request_reason, charts(state)) == ("needs", [("a", False, "source.unreachable")])
    assert missed(state, "fleet", "a", DOWN, LATER) == state

    state = missed(state, "fleet", "a", SourceError("no", code="source.auth"), LATER)
    state = brought(state, "fleet", "a", BLOB, LATER)
    assert facts(state) == ["source-failed", "source-failed", "source-recovered"]
    assert charts(state) == [("a", True, "")]


def test_what_the_bus_lost_is_to_be_stored_again():
    state = brought(with_charts(ready(), needs("a")), "fleet", "a", BLOB, LATER)

    assert lacking(with_charts(state, needs("a", lost=[BLOB.digest])))
    assert lacking(republished(state, LATER))


def test_an_older_statement_of_needs_changes_nothing():
    state = with_charts(ready(), needs("a")).model_copy(update={"needs_number": 7})

    assert with_charts(state, needs(number=6)) == state
    assert brought(state, "fleet", "gone", BLOB, LATER) == state
    assert missed(state, "fleet", "gone", DOWN, LATER) == state
