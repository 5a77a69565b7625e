"""Canonical bytes: what is kept of them costs what it shows."""

import tracemalloc

from shared.core.canonical import decode, encode

COUNT = 100


def test_encoded_values_take_no_more_memory_than_their_bytes():
    value = {"name": "x" * 300}
    tracemalloc.start()
    try:
        kept = [encode({**value, "number": number}) for number in range(COUNT)]
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert decode(kept[7]) == {**value, "number": 7}
    assert used < COUNT * 500
