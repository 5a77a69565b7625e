"""NKeys: ed25519 keys in the spelling of NATS, where the first letter says what a key is for.

A key is base32 of a prefix byte, 32 bytes and a CRC-16; a seed has two prefix bytes, the second for the role. Signing
is PyNaCl's, which the line's envelopes use too, so that agents load one crypto library.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from shared.errors import PermanentError

Role = Literal["operator", "account", "user"]

_PREFIX: dict[str, int] = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_SEED = 18 << 3
_RAW_BYTES = 32


class KeyFormatError(PermanentError):
    """Text is not an NKey."""

    code = "bus.key-invalid"


def new_seed(role: Role) -> str:
    """Return a new random seed."""
    prefix = _PREFIX[role]
    return _encoded(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + SigningKey.generate().encode())


def public_of(seed: str) -> str:
    """Return the public key of a seed."""
    raw = _decoded(seed)
    role = (raw[0] & 7) << 5 | raw[1] >> 3
    return _encoded(bytes([role]) + _signing_key(seed).verify_key.encode())


def is_user(public: str) -> bool:
    """Return whether `public` is the well-formed public key of a user."""
    try:
        raw = _decoded(public)
    except KeyFormatError:
        return False
    return len(raw) == _RAW_BYTES + 1 and raw[0] == _PREFIX["user"]


def sign_with_seed(seed: str, data: bytes) -> bytes:
    """Return the 64 bytes of the signature of `data`."""
    return _signing_key(seed).sign(data).signature


def verify_with_public(public: str, data: bytes, signature: bytes) -> bool:
    """Return whether the holder of `public`'s seed signed exactly `data`."""
    try:
        VerifyKey(_decoded(public)[1:]).verify(data, signature)
    except (CryptoError, KeyFormatError, TypeError, ValueError):
        return False
    return True


def _signing_key(seed: str) -> SigningKey:
    raw = _decoded(seed)
    if len(raw) != _RAW_BYTES + 2 or raw[0] & 0xF8 != _SEED:
        raise KeyFormatError("this is no NKey seed: a seed begins with S and has 58 characters")
    return SigningKey(raw[2:])


def _encoded(raw: bytes) -> str:
    # CRC-16/XMODEM, low byte first.
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        checked = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise KeyFormatError("an NKey is base32: this text is not") from error
    raw, crc = checked[:-2], checked[-2:]
    if binascii.crc_hqx(raw, 0).to_bytes(2, "little") != crc:
        raise KeyFormatError("an NKey's checksum does not fit: characters are missing or changed")
    return raw
