"""Which packs bring a tree to the renderer: the last full one and the increments since.

An increment holds what one tree has and the tree before lacks, so a commit travels in proportion to its change.
Increments that became many are put together, and when they outgrow the full pack a new full one takes their place.
"""

from __future__ import annotations

from shared.messages.base import Part
from shared.messages.blobs import BlobRef

INCREMENTS = 16


class Chain(Part):
    """The packs that bring `tree`."""

    tree: str
    full_tree: str
    """The tree of the first pack."""
    packs: tuple[BlobRef, ...]

    @property
    def outgrown(self) -> bool:
        """Whether the increments together are larger than the full pack."""
        return sum(pack.bytes for pack in self.packs[1:]) > self.packs[0].bytes


class Step(Part):
    """A pack to make: the objects that `without` lacks, or all; it comes after the packs `keep`."""

    without: str = ""
    keep: tuple[BlobRef, ...] = ()


def next_step(chain: Chain | None) -> Step:
    """Return which pack extends `chain`."""
    if chain is None or chain.outgrown:
        return Step()
    if len(chain.packs) > INCREMENTS:
        return Step(without=chain.full_tree, keep=chain.packs[:1])
    return Step(without=chain.tree, keep=chain.packs)


def extended(chain: Chain | None, step: Step, tree: str, pack: BlobRef) -> Chain:
    """Return the chain after `step` was made as `pack`."""
    full_tree = chain.full_tree if chain is not None and step.keep else tree
    return Chain(tree=tree, full_tree=full_tree, packs=(*step.keep, pack))
