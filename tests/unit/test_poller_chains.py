"""Packs of a source stay few, and what they carry is in proportion to the change."""

from hypothesis import given
from hypothesis import strategies as st

from services.poller.chains import INCREMENTS, Chain, Step, extended, next_step
from shared.messages.blobs import BlobRef


def pack(size: int, name: str = "p") -> BlobRef:
    return BlobRef(digest=name, bytes=size)


def test_the_first_pack_is_full():
    assert next_step(None) == Step()


def test_the_next_pack_builds_on_the_last_tree():
    chain = extended(None, Step(), "t1", pack(100))

    assert next_step(chain) == Step(without="t1", keep=(pack(100),))


def test_increments_that_outgrow_the_full_pack_give_way_to_a_new_one():
    chain = Chain(tree="t2", full_tree="t1", packs=(pack(100), pack(60), pack(50)))

    assert next_step(chain) == Step()


def test_many_increments_are_put_together_on_the_full_pack():
    chain = Chain(tree="t9", full_tree="t1", packs=(pack(10_000), *[pack(1)] * INCREMENTS))

    assert next_step(chain) == Step(without="t1", keep=(pack(10_000),))
    assert extended(chain, next_step(chain), "t10", pack(5)).packs == (pack(10_000), pack(5))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=80))
def test_a_chain_is_bounded_and_begins_with_a_full_pack(sizes):
    chain = None
    full = ""
    for index, size in enumerate(sizes):
        step = next_step(chain)
        full = full if step.keep else f"t{index}"
        chain = extended(chain, step, f"t{index}", pack(size))

        assert (chain.tree, chain.full_tree) == (f"t{index}", full)
        assert len(chain.packs) <= INCREMENTS + 1
        assert sum(each.bytes for each in chain.packs[1:-1]) <= chain.packs[0].bytes
