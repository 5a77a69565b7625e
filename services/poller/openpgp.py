"""A certificate of OpenPGP, taken apart once: which keys it has, and until when each counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pysequoia import Cert
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

_KEYS = (Tag.PublicKey, Tag.PublicSubkey)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What of a certificate says whether a signature counts."""

    cert: Cert
    ends: Mapping[str, datetime | None]
    """Fingerprint or id of each key → when it expires, if ever."""
    revoked: bool = False
    weak: bool = False
    """Its own signatures are of a kind that counts no more, such as SHA-1."""

    @classmethod
    def of(cls, cert: Cert) -> Self:
        """Take a certificate apart."""
        try:
            end, revoked, weak = cert.expiration, cert.is_revoked, False
        except RuntimeError:
            end, revoked, weak = None, False, True
        ends: dict[str, datetime | None] = {}
        for key, bindings in _keys(cert):
            last = min(filter(None, (end, _end(key, bindings))), default=None)
            ends.update({name.lower(): last for name in (key.fingerprint, key.key_id) if name})
        return cls(cert, ends, revoked, weak)

    def objection(self, issuer: str, now: datetime) -> str:
        """Return why nothing that the key `issuer` of it signs counts now, or nothing."""
        if self.weak:
            return f"the certificate of the key {issuer} is too weak to count: renew it, with SHA-256 or better"
        if self.revoked:
            return f"the key {issuer} was revoked"
        end = self.ends[issuer]
        return f"the key {issuer} expired on {end.isoformat()}" if end is not None and end <= now else ""


def _keys(cert: Cert) -> list[tuple[Packet, list[Packet]]]:
    """Return the keys, each with the signatures that bind it as a subkey."""
    found: list[tuple[Packet, list[Packet]]] = []
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.tag in _KEYS:
            found.append((packet, []))
        elif found and packet.tag == Tag.Signature and packet.signature_type == SignatureType.SubkeyBinding:
            found[-1][1].append(packet)
    return found


def _end(key: Packet, bindings: list[Packet]) -> datetime | None:
    """Return when a subkey expires: its newest binding says so."""
    newest = max(bindings, key=lambda each: each.signature_created or _LONG_AGO, default=None)
    period = newest.key_validity_period if newest else None
    return key.key_created + period if key.key_created and period else None
