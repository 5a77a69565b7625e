"""Public keys of OpenSSH and what they signed: Ed25519, RSA, ECDSA, and the two kinds that live in hardware.

The signature's frame is read by `sshsig`; it verifies Ed25519 and RSA only, and people sign with hardware keys. Sources:
PROTOCOL.sshsig, PROTOCOL.u2f and RFC 4253, 5656 and 8332.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from sshsig.binary_io import SshReader

RSA_BITS = 2048
PRESENT = 1
"""Of a hardware key's flags: somebody touched it."""

_RSA_HASHES: Mapping[bytes, HashAlgorithm] = {b"rsa-sha2-256": SHA256(), b"rsa-sha2-512": SHA512()}
_CURVE_HASHES: Mapping[str, HashAlgorithm] = {"secp256r1": SHA256(), "secp384r1": SHA384(), "secp521r1": SHA512()}
_HARDWARE = b"sk-"


@dataclass(frozen=True, slots=True)
class SshPublicKey:
    """A key, known by its bytes."""

    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` prints."""
        return "SHA256:" + b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Tell whether `signature` is this key's of `data`; malformed ones are nobody's."""
        try:
            reader = SshReader(signature)
            algorithm, raw = reader.read_string(), reader.read_string()
            if algorithm.startswith(_HARDWARE):
                flags, counter = reader.read_byte(), reader.read_uint32()
                data = self._of_hardware(flags, counter, data)
                if not flags & PRESENT:
                    return False
            _verify(_loaded(self.blob), algorithm, raw, data)
        except (ValueError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return algorithm in _RSA_HASHES or algorithm == _kind(self.blob)

    def _of_hardware(self, flags: int, counter: int, data: bytes) -> bytes:
        """Return what a hardware key signs in place of `data`; its application is the last of its blob."""
        reader = SshReader(self.blob)
        for _ in range(3 if b"ecdsa" in _kind(self.blob) else 2):
            reader.read_string()
        application = hashlib.sha256(reader.read_string()).digest()
        return application + bytes([flags]) + counter.to_bytes(4) + hashlib.sha256(data).digest()


def public_key(kind: str, text: str) -> SshPublicKey:
    """Return the key that a line `kind text` names.

    Raises:
        ValueError: it is malformed, too weak, or of a kind that does not sign commits.
    """
    blob = b64decode(text, validate=True)
    key = _loaded(blob)
    if kind.encode() != _kind(blob):
        raise ValueError(f"a key that is called {kind} is none")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS:
        raise ValueError(f"an RSA key has {key.key_size} bits, and less than {RSA_BITS} are too few")
    return SshPublicKey(blob)


def _kind(blob: bytes) -> bytes:
    return SshReader(blob).read_string()


@lru_cache(maxsize=256)
def _loaded(blob: bytes) -> Any:
    try:
        return load_ssh_public_key(_kind(blob) + b" " + b64encode(blob))
    except UnsupportedAlgorithm as error:
        raise ValueError(f"keys of the kind {_kind(blob).decode(errors='replace')} are not supported") from error


def _verify(key: Any, algorithm: bytes, raw: bytes, data: bytes) -> None:
    """Return when the signature is right.

    Raises:
        InvalidSignature: it is wrong. ValueError: it is no signature of such a key.
    """
    match key:
        case ed25519.Ed25519PublicKey():
            key.verify(raw, data)
        case rsa.RSAPublicKey() if algorithm in _RSA_HASHES:
            key.verify(raw, data, padding.PKCS1v15(), _RSA_HASHES[algorithm])
        case ec.EllipticCurvePublicKey():
            numbers = SshReader(raw)
            pair = encode_dss_signature(numbers.read_mpint(), numbers.read_mpint())
            key.verify(pair, data, ec.ECDSA(_CURVE_HASHES[key.curve.name]))
        case _:
            raise ValueError(algorithm)
