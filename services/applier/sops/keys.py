"""Unlock a file's data key with the age and OpenPGP keys of one Secret.

As with Flux, entries that end in `.agekey` hold age identities, those that end in `.asc` armored OpenPGP secret keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyrage
from pysequoia import Tsk, decrypt
from pysequoia.packet import Packet, PacketPile, Tag

from services.applier.sops.errors import SopsError

AGE, PGP = ".agekey", ".asc"
DATA_KEY_BYTES = 32
_CLOUDS = {"kms": "AWS KMS", "gcp_kms": "GCP KMS", "azure_kv": "Azure Key Vault", "hc_vault": "HashiCorp Vault"}
_LINE = "AGE-SECRET-KEY-"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a Secret."""

    where: str
    """The Secret, as people name it."""
    age: tuple[Any, ...] = field(default=(), repr=False)
    pgp: tuple[Tsk, ...] = field(default=(), repr=False)
    unread: tuple[str, ...] = ()
    """Entries that hold no key."""

    def data_key(self, metadata: Mapping[str, Any]) -> bytes:
        """Return the key that the values of a file are encrypted with.

        Raises:
            SopsError: none of these keys unlocks it.
        """
        if str(metadata.get("shamir_threshold") or "0") != "0" or metadata.get("key_groups"):
            raise SopsError("its data key is split over several key groups", "encrypt it with one group of keys")
        for unlocked in (*self._by_age(metadata), *self._by_pgp(metadata)):
            if len(unlocked) == DATA_KEY_BYTES:
                return unlocked
        raise self._locked(metadata)

    def _by_age(self, metadata: Mapping[str, Any]) -> Iterator[bytes]:
        for locked in _entries(metadata, "age"):
            try:
                yield pyrage.decrypt(locked["enc"].encode(), list(self.age))
            except pyrage.DecryptError:
                continue

    def _by_pgp(self, metadata: Mapping[str, Any]) -> Iterator[bytes]:
        for locked in _entries(metadata, "pgp"):
            for key in self.pgp:
                try:
                    found = decrypt(locked["enc"].encode(), key.decryptor())
                except (ValueError, RuntimeError, OSError):
                    continue
                yield bytes(found.bytes or b"")

    def _locked(self, metadata: Mapping[str, Any]) -> SopsError:
        wanted = [f"age {each.get('recipient')}" for each in _entries(metadata, "age")]
        wanted += [f"PGP {each.get('fp')}" for each in _entries(metadata, "pgp")]
        clouds = [name for key, name in _CLOUDS.items() if metadata.get(key)]
        if not wanted:
            return SopsError(
                f"its key is kept by {' and '.join(clouds) or 'nobody'}, which agents do not ask",
                "add an age or PGP key of this cluster: sops rotate --add-age ...",
            )
        unread = f"; {', '.join(self.unread)} there holds no usable key" if self.unread else ""
        return SopsError(
            f"no key in {self.where} opens it, which wants {' or '.join(wanted)}{unread}",
            f"add the secret key to {self.where} as NAME{AGE} or NAME{PGP}",
        )


def read_keys(where: str, entries: Mapping[str, bytes]) -> Keyring:
    """Return the keys in the entries of a Secret; what holds none is remembered by name."""
    age: list[Any] = []
    pgp: list[Tsk] = []
    unread: list[str] = []
    for name, content in sorted(entries.items()):
        before = len(age) + len(pgp)
        if name.endswith(AGE):
            age += _identities(content)
        elif name.endswith(PGP):
            pgp += _secret_keys(content)
        if len(age) + len(pgp) == before:
            unread.append(name)
    return Keyring(where, tuple(age), tuple(pgp), tuple(unread))


def _identities(content: bytes) -> Iterator[Any]:
    for line in content.decode(errors="replace").splitlines():
        if line.strip().startswith(_LINE):
            try:
                yield pyrage.x25519.Identity.from_str(line.strip())
            except pyrage.IdentityError:
                continue


def _secret_keys(content: bytes) -> list[Tsk]:
    keys: list[list[Packet]] = []
    try:
        for packet in PacketPile.from_bytes(content):
            if packet.tag == Tag.SecretKey:
                keys.append([])
            if keys:
                keys[-1].append(packet)
        return [Tsk.from_packets(each) for each in keys]
    except (ValueError, RuntimeError, OSError):
        return []


def _entries(metadata: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = metadata.get(kind)
    found = entries if isinstance(entries, list) else []
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("enc"), str)]
