import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auditor.ledger import ORIGIN, Event, bus_subject, cloud_event, entry_of, first_break
from shared.messages.facts import CloudEvent
from tests.support.line_messages import at

events = st.builds(
    Event,
    key=st.uuids().map(str),
    type=st.sampled_from(["apply.succeeded", "revision.observed"]),
    time=st.integers(0, 10**6).map(at),
    cluster=st.sampled_from(["", "prod-eu-01"]),
    app=st.sampled_from(["", "web"]),
    message=st.text(max_size=20),
    data=st.dictionaries(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), max_size=3),
)


def chained(found):
    entries, previous = [], ORIGIN
    for position, event in enumerate(found, 1):
        entries.append(entry_of(event, position, previous))
        previous = entries[-1].hash
    return entries


@given(st.lists(events, max_size=8))
def test_a_chain_as_it_was_written_verifies(found):
    assert first_break(chained(found)) is None


@given(st.lists(events, min_size=1, max_size=8), st.data())
def test_any_altered_column_is_noticed_at_its_row(found, data):
    entries = chained(found)
    index = data.draw(st.integers(0, len(entries) - 1))
    column = data.draw(st.sampled_from(["key", "type", "time", "source", "cluster", "app", "commit", "severity"]))
    entries[index] = dataclasses.replace(entries[index], **{column: getattr(entries[index], column) + "x"})

    assert first_break(entries).position == index + 1


@given(st.lists(events, min_size=1, max_size=8), st.data())
def test_an_altered_body_is_noticed(found, data):
    entries = chained(found)
    index = data.draw(st.integers(0, len(entries) - 1))
    altered = entries[index].body.replace(b'"severity"', b'"severitz"')
    entries[index] = dataclasses.replace(entries[index], body=altered)

    assert first_break(entries).position == index + 1


@given(st.lists(events, min_size=2, max_size=8), st.data())
def test_a_removed_row_is_noticed(found, data):
    entries = chained(found)
    del entries[data.draw(st.integers(0, len(entries) - 2))]

    assert first_break(entries) is not None


def test_two_swapped_rows_are_noticed():
    first, second = chained([Event(key=key, type="a.b", time=at(0)) for key in "xy"])

    assert first_break([second, first]).position == 1


@given(events)
def test_the_public_form_of_a_row_is_a_cloud_event_with_its_position(event):
    public = cloud_event(entry_of(event, 42, ORIGIN), "hub1")

    assert CloudEvent.from_bytes(public.to_bytes()) == public
    assert (public.id, public.source, public.type) == ("42", "/towline/hub1", f"dev.towline.{event.type}.v1")


def test_an_event_about_a_commit_is_named_by_its_first_digits_and_has_all_of_them():
    commit = "0123456789abcdef" * 2 + "01234567"
    event = Event(key="k", type="target.released", time=at(0), source="fleet", commit=commit)
    told = cloud_event(entry_of(event, 1, ORIGIN), "hub")

    assert (told.subject, told.data["commit"]) == ("fleet@0123456789ab", commit)


@pytest.mark.parametrize(
    ("cluster", "app", "subject"),
    [
        ("c1", "web", "towline.event.hub.c1.web.apply-succeeded"),
        ("", "", "towline.event.hub.-.-.apply-succeeded"),
        ("c1.*", "we>b", "towline.event.hub.-.-.apply-succeeded"),
    ],
)
def test_names_that_are_no_tokens_never_reach_a_subject(cluster, app, subject):
    event = Event(key="k", type="apply.succeeded", time=at(0), cluster=cluster, app=app)

    assert bus_subject(entry_of(event, 1, ORIGIN)) == subject
