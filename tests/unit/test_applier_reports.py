"""The agent's bytes are those that the hub's models would write."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier import reports as mine
from shared.core.status import Health, Result, Sync
from shared.messages import reports as models

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
words = st.text(max_size=12)
numbers = st.integers(0, 2**40)
lines = st.lists(words, max_size=3).map(tuple)
moments = st.integers(0, 2**52).map(lambda us: EPOCH + timedelta(microseconds=us))
states = {"sync": st.sampled_from(Sync), "health": st.sampled_from(Health)}

failures = st.builds(mine.ObjectFailure, key=words, code=words, message=words, hint=words)
holds = st.builds(mine.Hold, reason=words, keys=lines, count=numbers, approval=words)
counts = st.builds(mine.Counts, objects=numbers, created=numbers, pruned=numbers, kept=numbers)
reports = st.builds(
    mine.Report,
    id=words,
    session=words,
    counter=numbers,
    cluster=words,
    app=words,
    trigger=words,
    epoch=numbers,
    generation=numbers,
    bundle=words,
    commits=lines,
    attempt=numbers,
    result=st.sampled_from(Result),
    reason=words,
    message=words,
    counts=counts,
    failures=st.lists(failures, max_size=2).map(tuple),
    hold=st.none() | holds,
    drift=lines,
    warnings=lines,
    settled=st.booleans(),
    started_at=moments,
    finished_at=moments,
    **states,
)
answers = st.builds(
    mine.Answer,
    id=words,
    cluster=words,
    ok=st.booleans(),
    message=words,
    body=st.dictionaries(
        words, st.none() | words | numbers | st.lists(st.dictionaries(words, words, max_size=1), max_size=2), max_size=2
    ),
    at=moments,
)
statuses = st.builds(
    mine.Status,
    cluster=words,
    session=words,
    counter=numbers,
    agent=words,
    kubernetes=words,
    uid=words,
    epoch=numbers,
    generation=numbers,
    stale=st.booleans(),
    standby=st.booleans(),
    claims=st.dictionaries(words, words, max_size=2),
    apps=st.dictionaries(
        words, st.builds(mine.AppStatus, epoch=numbers, bundle=words, objects=numbers, **states), max_size=2
    ),
    at=moments,
)
heartbeats = st.builds(mine.Heartbeat, cluster=words, session=words, epoch=numbers, generation=numbers, at=moments)


@pytest.mark.parametrize(
    ("messages", "model"),
    [
        pytest.param(reports, models.Report, id="report"),
        pytest.param(answers, models.Answer, id="answer"),
        pytest.param(statuses, models.Status, id="status"),
        pytest.param(heartbeats, models.Heartbeat, id="heartbeat"),
    ],
)
def test_bytes_equal_the_models(messages, model):
    @settings(max_examples=40, deadline=None)
    @given(messages)
    def holds(message):
        data = mine.to_bytes(message)

        assert model.from_bytes(data).to_bytes() == data

    holds()


@pytest.mark.parametrize(
    ("name"), ["Report", "Answer", "Status", "Heartbeat", "ObjectFailure", "Hold", "Counts", "AppStatus"]
)
def test_no_field_is_missing(name):
    own = set(getattr(mine, name).__dataclass_fields__)

    assert own == set(getattr(models, name).model_fields) - {"schema_version", "crit"}
