"""Keep a mirror's packs few: every fetch leaves one, and libgit2 never puts them together."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pygit2

PACKS_KEPT = 32
# Larger packs stay as they are: writing them again costs more than reading one more.
MERGED_BYTES = 16 << 20

_PACK_FILES = {".pack", ".idx", ".keep", ".rev"}
_FANOUT = struct.Struct(">256I")
_HEADER_BYTES = 8


def remove_leftovers(repository: pygit2.Repository) -> None:
    """Delete what fetches that were killed left behind; no fetch may run in this repository now."""
    for path in _folder(repository).glob("*"):
        if path.suffix not in _PACK_FILES or not path.name.startswith("pack-"):
            path.unlink(missing_ok=True)


def merge_packs(repository: pygit2.Repository) -> None:
    """Write the small packs as one when there are too many; the old ones go once the new one stands."""
    packs = [path for path in _folder(repository).glob("pack-*.pack") if path.with_suffix(".idx").exists()]
    small = [path for path in packs if path.stat().st_size < MERGED_BYTES]
    if len(packs) <= PACKS_KEPT or len(small) < 2:
        return
    ids = {object_id for path in small for object_id in ids_of_index(path.with_suffix(".idx").read_bytes())}

    def add(builder: pygit2.PackBuilder) -> None:
        for object_id in sorted(ids):
            builder.add(pygit2.Oid(hex=object_id))

    before = set(packs)
    repository.pack(_folder(repository), pack_delegate=add, n_threads=1)
    if set(_folder(repository).glob("pack-*.pack")) - before:
        for path in small:
            for suffix in _PACK_FILES:
                path.with_suffix(suffix).unlink(missing_ok=True)


def ids_of_index(data: bytes) -> Iterator[str]:
    """Yield the object ids of a pack's index, version 2: header, fan-out table of 256 counts, then sorted ids."""
    *_, count = _FANOUT.unpack_from(data, _HEADER_BYTES)
    start = _HEADER_BYTES + _FANOUT.size
    for position in range(start, start + 20 * count, 20):
        yield data[position : position + 20].hex()


def _folder(repository: pygit2.Repository) -> Path:
    return Path(repository.path) / "objects" / "pack"
