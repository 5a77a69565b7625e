"""Sealed content opens with its key only, and never grows beyond the limit."""

import pytest
import zstandard

from shared.core.seal import SealError, decompressed, seal, unseal

SECRET = b"s" * 32


def test_equal_content_seals_to_equal_bytes():
    assert seal(b"content" * 1000, SECRET) == seal(b"content" * 1000, SECRET)


def test_sealed_content_opens_with_its_key():
    sealed = seal(b"content" * 1000, SECRET)

    assert b"".join(unseal(sealed.data, sealed.key, 7000)) == b"content" * 1000


@pytest.mark.parametrize("position", [0, 10, -1])
def test_an_altered_byte_is_noticed(position):
    sealed = seal(b"content", SECRET)
    altered = bytearray(sealed.data)
    altered[position] ^= 1

    with pytest.raises(SealError):
        b"".join(unseal(bytes(altered), sealed.key, 100))


def test_a_small_frame_that_grows_beyond_the_limit_is_refused():
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))

    with pytest.raises(SealError, match="larger than the limit"):
        for _ in decompressed(bomb, 1 << 20):
            pass
