"""Sign what agents believe: desired documents and instructions, each with its own type inside the signature."""

from __future__ import annotations

from services.releaser.keys import HubKeys
from shared.core.dsse import DESIRED, INSTRUCTION, opened, signed
from shared.messages.releases import Desired, Instruction


def desired_envelope(document: Desired, keys: HubKeys) -> bytes:
    """Return the signed envelope of a desired document."""
    return signed(DESIRED, document.to_bytes(), keys.release)


def instruction_envelope(instruction: Instruction, keys: HubKeys) -> bytes:
    """Return the signed envelope of an instruction."""
    return signed(INSTRUCTION, instruction.to_bytes(), keys.release)


def read_desired(envelope: bytes, keys: HubKeys) -> Desired:
    """Return the document of an envelope that this hub signed.

    Raises:
        PermanentError: it did not.
    """
    body = opened(DESIRED, envelope, {keys.key_id: bytes(keys.release.verify_key)}).body
    return Desired.from_bytes(body)
