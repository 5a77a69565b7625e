"""Signed envelopes after DSSE: verify the exact bytes, then parse those same bytes.

The type is inside the signature, so that a signature for one class of document never passes as another.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import PermanentError

DESIRED = "application/vnd.towline.desired.v1+json"
INSTRUCTION = "application/vnd.towline.instruction.v1+json"
KEY_SET = "application/vnd.towline.key-set.v1+json"


class EnvelopeError(PermanentError):
    """An envelope is malformed, of another type, or not signed by a key that is trusted.

    `code` is one of `envelope.malformed`, `envelope.type`, `envelope.key`, `envelope.signature`.
    """

    code = "envelope.malformed"


@dataclass(frozen=True, slots=True)
class Opened:
    """The verified body of an envelope and the id of the key that signed it."""

    body: bytes
    key_id: str


def key_id_of(public: bytes) -> str:
    """Return the id of a public key: 32 hex digits of its sha256."""
    return hashlib.sha256(public).hexdigest()[:32]


def signed(kind: str, body: bytes, key: SigningKey) -> bytes:
    """Return the envelope of `body`, in canonical JSON."""
    signature = key.sign(_authenticated(kind, body)).signature
    return encode(
        {
            "payload": b64encode(body).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": key_id_of(bytes(key.verify_key)), "sig": b64encode(signature).decode()}],
        },
    )


def opened(kind: str, envelope: bytes, keys: Mapping[str, bytes]) -> Opened:
    """Return the body of `envelope` once its one signature is verified with one of `keys` (id → public key).

    Raises:
        EnvelopeError: see there for its codes.
    """
    payload, stated, key_id, signature = _parts(envelope)
    if stated != kind:
        raise EnvelopeError(f"document is of type {stated!r}, expected {kind!r}", code="envelope.type")
    if key_id not in keys:
        raise EnvelopeError(f"document is signed by key {key_id}, which is not trusted here", code="envelope.key")
    try:
        VerifyKey(keys[key_id]).verify(_authenticated(kind, payload), signature)
    except (CryptoError, ValueError, TypeError) as error:
        raise EnvelopeError("document's signature is wrong: it was altered", code="envelope.signature") from error
    return Opened(payload, key_id)


def _authenticated(kind: str, body: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(body), body)


def _parts(envelope: bytes) -> tuple[bytes, str, str, bytes]:
    try:
        document: Any = decode(envelope)
        (signature,) = document["signatures"]
        return (
            b64decode(document["payload"], validate=True),
            str(document["payloadType"]),
            str(signature["keyid"]),
            b64decode(signature["sig"], validate=True),
        )
    except (NotJSONError, KeyError, TypeError, ValueError) as error:
        raise EnvelopeError(f"document is not an envelope with one signature: {error}") from error
