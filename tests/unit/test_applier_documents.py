"""The agent reads the releaser's documents as the hub's models do."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier import documents
from services.applier.documents import (
    DocumentError,
    desired_of,
    instruction_of,
    key_set_of,
    roster_of,
    suspended,
    unknown_critical,
)
from shared.core.canonical import decode, encode
from shared.messages import releases
from shared.messages.blobs import BlobRef, BundleRef
from shared.messages.releases import Desired, Instruction, KeySet, Release, ReleaseState, Roster
from shared.messages.renders import Provenance

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
words = st.text(max_size=12)
numbers = st.integers(0, 2**40)
hexes = st.binary(min_size=4, max_size=8).map(bytes.hex)
moments = (
    st.integers(0, 2**42)
    .map(lambda ms: EPOCH + timedelta(milliseconds=ms))
    .map(lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000))
)
texts = st.dictionaries(words, words, max_size=3)
blobs = st.builds(BlobRef, digest=hexes, bytes=numbers, key=hexes)
bundles = st.builds(BundleRef, digest=hexes, size=numbers, objects=numbers, blob=blobs)
origins = st.builds(Provenance, source=words, repository=words, ref=words, commit=hexes, tree=hexes)


@st.composite
def granted(draw):
    state = draw(st.sampled_from(ReleaseState))
    return Release(
        app=draw(words),
        epoch=draw(numbers),
        generation=draw(numbers),
        state=state,
        bundle=draw(bundles) if state is ReleaseState.PRESENT else None,
        last=draw(st.none() | bundles) if state is ReleaseState.REMOVED else None,
        previous=draw(hexes),
        provenance=draw(st.lists(origins, max_size=2)),
        deletes=draw(st.lists(words, max_size=3)),
        deletes_known=draw(st.booleans()),
        options={"prune": draw(st.booleans())},
        suspend=draw(st.none() | texts),
        approval=draw(hexes),
    )


def same(read, model, *names):
    return all(getattr(read, name) == getattr(model, name) for name in names)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Desired,
        hub=hexes,
        cluster=words,
        epoch=numbers,
        generation=numbers,
        previous=numbers,
        roster=blobs,
        suspend=st.none() | texts,
        policy=numbers,
        created=moments,
        key=hexes,
    ),
)
def test_a_desired_document_reads_as_its_model(model):
    read = desired_of(model.to_bytes())

    assert same(read, model, "hub", "cluster", "epoch", "generation", "previous", "suspend", "policy", "key")
    assert same(read.roster, model.roster, "digest", "bytes", "key")
    assert datetime.fromisoformat(read.created) == model.created


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(words, granted(), max_size=3), words)
def test_a_roster_reads_as_its_model(found, cluster):
    model = Roster(cluster=cluster, releases=found)

    read = roster_of(model.to_bytes())

    assert read.cluster == cluster
    assert set(read.releases) == set(found)
    for name, release in found.items():
        mine = read.releases[name]
        plain = "app epoch generation previous deletes_known options suspend approval"
        assert same(mine, release, *plain.split())
        assert mine.removed == (release.state is ReleaseState.REMOVED)
        assert (mine.last is None) == (release.last is None)
        assert mine.last is None or same(mine.last, release.last, "digest", "size", "objects")
        assert mine.deletes == set(release.deletes)
        assert [[getattr(o, f.name) for f in fields(o)] for o in mine.provenance] == [
            list(p.model_dump().values()) for p in release.provenance
        ]
        assert (mine.bundle is None) == (release.bundle is None)
        if release.bundle:
            assert same(mine.bundle, release.bundle, "digest", "size", "objects")
            assert same(mine.bundle.blob, release.bundle.blob, "digest", "bytes", "key")


@settings(max_examples=40, deadline=None)
@given(st.builds(KeySet, hub=hexes, version=numbers, keys=st.dictionaries(hexes, hexes), revoked=st.lists(hexes)))
def test_a_key_set_reads_as_its_model(model):
    read = key_set_of(model.to_bytes())

    assert same(read, model, "hub", "version")
    assert {name: public.hex() for name, public in read.keys.items()} == model.keys
    assert read.revoked == set(model.revoked)


@settings(max_examples=40, deadline=None)
@given(st.builds(Instruction, id=words, hub=hexes, cluster=words, verb=words, expires=moments))
def test_an_instruction_reads_as_its_model(model):
    assert same(instruction_of(model.to_bytes()), model, "id", "hub", "cluster", "verb", "arguments", "expires")


@pytest.mark.parametrize(
    ("name", "model"),
    [("desired", "Desired"), ("roster", "Roster"), ("key set", "KeySet"), ("instruction", "Instruction")],
)
def test_the_agent_knows_the_fields_that_the_hub_writes(name, model):
    known = {field.alias or name for name, field in getattr(releases, model).model_fields.items()}

    assert documents.KNOWN[name] == known


GOOD = {
    "cluster": "c1",
    "releases": {
        "web": {
            "app": "web",
            "epoch": 1,
            "generation": 2,
            "bundle": {"digest": "aa", "size": 1, "objects": 1, "blob": {"digest": "bb", "bytes": 1}},
        },
    },
}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["cluster"], None, "cluster: is not a text"),
        (["cluster"], ..., "cluster: is missing"),
        (["schema"], 2, "has schema 2"),
        (["schema"], "1", "schema: is not an integer"),
        (["crit"], ["secrets"], "knows secrets"),
        (["crit"], "cluster", "crit: is not a list of texts"),
        (["releases"], [], "releases: is not a mapping"),
        (["releases", "web"], 3, "web: is not a mapping"),
        (["releases", "web", "generation"], "2", "generation: is not an integer"),
        (["releases", "web", "generation"], True, "generation: is not an integer"),
        (["releases", "web", "deletes"], [1], "deletes: is not a list of texts"),
        (["releases", "web", "deletes_known"], 1, "deletes_known: is not true or false"),
        (["releases", "web", "suspend"], {"by": 1}, "suspend: is not a mapping of texts"),
        (["releases", "web", "state"], "paused", "neither present nor removed"),
        (["releases", "web", "state"], "removed", "a removed one has none"),
        (["releases", "web", "bundle"], ..., "a present release has a bundle"),
        (["releases", "web", "bundle", "blob"], ..., "blob: is missing"),
        (["releases", "web", "provenance"], {}, "provenance: is not a list"),
        (["releases", "web", "provenance"], ["x"], "item: is not a mapping"),
    ],
)
def test_a_malformed_document_is_refused_with_its_place(path, value, says):
    document = decode(encode(GOOD))
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value

    with pytest.raises(DocumentError, match=says):
        roster_of(encode(document))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
def test_what_is_no_mapping_is_no_document(body):
    with pytest.raises(DocumentError):
        desired_of(body)


@pytest.mark.parametrize(
    ("part", "says"),
    [({"keys": {"a": "zz"}}, "not hexadecimal"), ({"keys": {"a": 1}}, "mapping of texts")],
)
def test_a_key_set_with_bad_keys_is_refused(part, says):
    with pytest.raises(DocumentError, match=says):
        key_set_of(encode({"hub": "h", "version": 1, **part}))


@pytest.mark.parametrize(("expires", "says"), [("soon", "not a time"), ("2026-01-01T00:00:00", "without zone")])
def test_an_instruction_needs_a_moment(expires, says):
    with pytest.raises(DocumentError, match=says):
        instruction_of(encode({"id": "1", "hub": "h", "cluster": "c", "verb": "sync", "expires": expires}))


def test_critical_fields_of_something_that_is_no_mapping_are_none():
    assert unknown_critical([], "desired") == ()


@pytest.mark.parametrize(
    ("suspend", "expected"),
    [
        (None, False),
        ({"reason": "move"}, True),
        ({"until": ""}, True),
        ({"until": "never"}, True),
        ({"until": "2026-01-01T00:00:00"}, True),
        ({"until": "2026-01-02T00:00:00Z"}, True),
        ({"until": "2026-01-01T00:00:00Z"}, False),
    ],
)
def test_a_suspension_ends_only_at_a_readable_end(suspend, expected):
    assert suspended(suspend, datetime(2026, 1, 1, 12, tzinfo=UTC)) is expected
