"""Packs carry the difference of two trees, and a store takes nothing that is not whole."""

import os
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.trees import Entry, EntryKind
from shared.git.objects import ObjectKind, tree_bytes
from shared.git.packs import BadPackError, Limits, TooLargeError, decoded, encoded, pack_of
from shared.git.repositories import open_bare
from shared.git.store import IncompletePackError, ObjectStore
from shared.git.trees import MissingObjectError, reader_of

Files = dict[str, bytes]
NAMES = st.sampled_from(["a", "b", "a.b", "a-b", "fleet.yaml"])
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=8), max_size=6)


def written(repository, files: Files) -> str:
    """Write a tree of files and return its id; a file hides what would stand below it."""
    here: list[Entry] = []
    for name in sorted({path.partition("/")[0] for path in files}):
        below = {path.partition("/")[2]: data for path, data in files.items() if path.startswith(f"{name}/")}
        if name in files:
            here.append(Entry(name, EntryKind.FILE, str(repository.odb.write(ObjectKind.BLOB, files[name]))))
        else:
            here.append(Entry(name, EntryKind.FOLDER, written(repository, below)))
    return str(repository.odb.write(ObjectKind.TREE, tree_bytes(here)))


@pytest.fixture
def origin(tmp_path):
    return open_bare(tmp_path / "origin.git")


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "store.git")


def test_a_tree_travels_whole(origin, store):
    tree = written(origin, {"a/b": b"1", "c": b"2"})

    store.add_pack(pack_of(reader_of(origin), tree))

    assert store.tree(tree).read("a/b") == b"1"


def test_an_increment_holds_only_what_changed(origin, store):
    big = os.urandom(100_000)
    old = written(origin, {"big": big, "a/b": b"1", "c/d": b"2"})
    new = written(origin, {"big": big, "a/b": b"9", "c/d": b"2"})
    pack = pack_of(reader_of(origin), new, without=old)

    assert [kind for kind, _ in decoded([pack])] == [ObjectKind.BLOB, ObjectKind.TREE, ObjectKind.TREE]


@given(FILES, FILES)
@settings(max_examples=40, deadline=None)
def test_full_pack_and_increment_give_the_new_tree(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("packs")
    origin, store = open_bare(folder / "o.git"), ObjectStore(folder / "s.git")
    read = reader_of(origin)
    old, new = written(origin, before), written(origin, after)

    store.add_pack(pack_of(read, old))
    store.add_pack(pack_of(read, new, without=old))

    assert pack_of(reader_of(store._repository), new) == pack_of(read, new)


def test_an_increment_without_its_base_is_refused_and_its_tree_stays_unknown(origin, store):
    old, new = written(origin, {"a": b"1", "b": b"2"}), written(origin, {"a": b"1", "b": b"3"})

    with pytest.raises(IncompletePackError):
        store.add_pack(pack_of(reader_of(origin), new, without=old))

    assert not store.has(new)


def test_a_pack_in_pieces_of_one_byte_reads_the_same(origin):
    pack = pack_of(reader_of(origin), written(origin, {"a": b"1", "b": b""}))

    assert list(decoded(bytes([byte]) for byte in pack)) == list(decoded([pack]))


@given(st.binary(max_size=40), st.integers(0, 200))
@settings(deadline=None)
def test_a_pack_that_was_cut_or_altered_never_reads_as_more_than_other_contents(tail, cut):
    pack = b"".join(encoded([(ObjectKind.BLOB, b"content"), (ObjectKind.TREE, b"")]))
    altered = pack[: min(cut, len(pack) - 1)] + tail

    with suppress(BadPackError, TooLargeError):
        objects = list(decoded([altered]))
        # What is left is a pack of its own: the store gives its contents other ids.
        assert b"".join(encoded(objects)) == altered


@pytest.mark.parametrize("limits", [Limits(objects=1), Limits(object_bytes=3), Limits(total_bytes=5)])
def test_limits_hold_on_both_sides(limits):
    objects = [(ObjectKind.BLOB, b"abcd"), (ObjectKind.BLOB, b"efgh")]

    with pytest.raises(TooLargeError):
        list(encoded(objects, limits))
    with pytest.raises(TooLargeError):
        list(decoded(encoded(objects), limits))


def test_a_stated_length_beyond_the_limit_is_refused_before_it_is_read():
    with pytest.raises(TooLargeError):
        list(decoded([b"towline-pack/1\n\x03\xff\xff\xff\xff"]))


def test_prune_drops_what_no_kept_tree_holds(origin, store):
    old, new = written(origin, {"a": b"1", "same": b"2"}), written(origin, {"a": b"3", "same": b"2"})
    store.add_pack(pack_of(reader_of(origin), old))
    store.add_pack(pack_of(reader_of(origin), new, without=old))

    gone = store.prune([new], grace_s=-1)

    assert gone == 2
    assert not store.has(old)
    assert store.tree(new).read("same") == b"2"


def test_prune_keeps_what_was_written_just_now(origin, store):
    tree = written(origin, {"a": b"1"})
    store.add_pack(pack_of(reader_of(origin), tree))

    assert store.prune([]) == 0


def test_a_damaged_object_is_noticed_and_a_reset_store_can_be_filled_again(origin, store, tmp_path):
    tree = written(origin, {"a": b"1"})
    pack = pack_of(reader_of(origin), tree)
    store.add_pack(pack)
    damaged = tmp_path / "store.git" / "objects" / tree[:2] / tree[2:]
    damaged.chmod(0o600)
    damaged.write_bytes(b"")

    with pytest.raises(MissingObjectError):
        store.tree(tree).folder("")
    store.reset()
    store.add_pack(pack)

    assert store.tree(tree).read("a") == b"1"
