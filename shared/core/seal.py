"""Sealing: equal content becomes equal bytes that only the holder of its key can read.

Compress whole, derive the key from the hub's secret and the compressed content, encrypt with AES-256-GCM. The nonce
may be zero because a key serves one content only. Whoever lacks the key reads noise, so one stored blob can serve
every entitled cluster.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

import zstandard
from nacl.bindings import crypto_aead_aes256gcm_decrypt, crypto_aead_aes256gcm_encrypt
from nacl.exceptions import CryptoError

from shared.errors import PermanentError

LEVEL = 3
# A reader needs this much memory to decompress; performance.md asks producers for 2 MiB at most.
WINDOW_LOG = 21
MAX_WINDOW_BYTES = 8 << 20
READ_BYTES = 1 << 17
_NONCE = bytes(12)
_PURPOSE = b"towline/seal/1"


class SealError(PermanentError):
    """Bytes do not open with this key, are damaged, or grow beyond the limit."""

    code = "blob.unreadable"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored, and the key that opens it (32 bytes)."""

    data: bytes
    key: bytes


def compress(content: bytes) -> bytes:
    """Return `content` as one zstd frame, the same on every machine for one library version."""
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=WINDOW_LOG, write_checksum=True)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def decompressed(data: bytes, limit_bytes: int) -> Iterator[bytes]:
    """Yield the content of one zstd frame piece by piece.

    The library's own `max_output_size` is ignored when a frame states its size (32 kB became 1 GiB), so the bytes are
    counted here.

    Raises:
        SealError: not one whole frame, a window beyond 8 MiB, or more than `limit_bytes` of content.
    """
    total = 0
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).stream_reader(data, read_across_frames=False)
    try:
        while piece := reader.read(READ_BYTES):
            total += len(piece)
            if total > limit_bytes:
                raise SealError(f"content is larger than the limit of {limit_bytes} bytes", code="blob.too-large")
            yield piece
    except zstandard.ZstdError as error:
        raise SealError(f"content cannot be decompressed: {error}") from error


def seal(content: bytes, secret: bytes) -> Sealed:
    """Return `content` compressed and encrypted with a key that `secret` and the content determine."""
    packed = compress(content)
    key = _derived(secret, hashlib.sha256(packed).digest())
    return Sealed(crypto_aead_aes256gcm_encrypt(packed, None, _NONCE, key), key)


def unseal(data: bytes, key: bytes, limit_bytes: int) -> Iterator[bytes]:
    """Yield the content of sealed bytes piece by piece.

    Raises:
        SealError: the key does not fit, the bytes were altered, or the content exceeds `limit_bytes`.
    """
    try:
        packed = crypto_aead_aes256gcm_decrypt(data, None, _NONCE, key)
    except (CryptoError, TypeError, ValueError) as error:
        raise SealError("sealed bytes do not open with this key: they were altered, or the key is another's") from error
    yield from decompressed(packed, limit_bytes)


def _derived(secret: bytes, salt: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA256 (RFC 5869)."""
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, _PURPOSE + b"\x01", "sha256")
