"""The hub's own keys, made on its first start: the root key that is the hub, and the release key that it vouches for.

The root signs one thing, the key set, and may then be taken offline: a folder without `root.key` but with a key set
that names the release key works as well.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from shared.core.canonical import decode, encode
from shared.core.dsse import KEY_SET, key_id_of, opened, signed
from shared.errors import PermanentError
from shared.messages.releases import KeySet

IDENTITY = "identity.json"
_SEED_BYTES = 32


class KeysError(PermanentError):
    """The hub's keys cannot be used."""

    code = "keys.unusable"


@dataclass(frozen=True, slots=True)
class HubKeys:
    """Who this hub is, and what it signs with."""

    hub: str
    """Fingerprint of the root key: sha256 of its public half in hex."""
    release: SigningKey
    key_set: str
    """The root-signed envelope."""

    @property
    def key_id(self) -> str:
        """Return the id of the release key."""
        return key_id_of(bytes(self.release.verify_key))


def load_or_make(folder: Path) -> HubKeys:
    """Return the keys of `folder`, made now where there are none.

    `identity.json` beside them holds what anybody may know: the fingerprint and the key set.

    Raises:
        KeysError: a file is damaged, or the root is offline and did not sign this release key.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = folder / IDENTITY
    if identity.exists():
        return _kept(folder, identity)
    root, release = _key(folder / "root.key"), _key(folder / "release.key")
    public = bytes(root.verify_key)
    hub = hashlib.sha256(public).hexdigest()
    release_public = bytes(release.verify_key)
    key_set = KeySet(hub=hub, root=public.hex(), version=1, keys={key_id_of(release_public): release_public.hex()})
    envelope = signed(KEY_SET, key_set.to_bytes(), root).decode()
    _write(identity, encode({"hub": hub, "key_set": envelope}), mode=0o644)
    return HubKeys(hub, release, envelope)


def _kept(folder: Path, identity: Path) -> HubKeys:
    """Return the keys of an earlier start, checked against each other."""
    try:
        document = decode(identity.read_bytes())
        hub, envelope = str(document["hub"]), str(document["key_set"])
        key_set = key_set_of(envelope.encode(), hub)
    except (PermanentError, KeyError, TypeError) as error:
        raise KeysError(f"{identity} is damaged: {error}", hint="restore it from the backup") from error
    release_file = folder / "release.key"
    if not release_file.exists():
        raise KeysError(f"{release_file} is missing", hint="restore it from the backup")
    keys = HubKeys(hub, _key(release_file), envelope)
    if keys.key_id not in key_set.keys or keys.key_id in key_set.revoked:
        raise KeysError(f"{release_file} is not a key that the hub's root vouches for", hint="restore both together")
    return keys


def key_set_of(envelope: bytes, hub: str) -> KeySet:
    """Return the key set that `envelope` holds, once it is proven to come from the root key of this fingerprint.

    Raises:
        PermanentError: it does not.
    """
    unproven = KeySet.from_bytes(_unproven_body(envelope))
    public = bytes.fromhex(unproven.root)
    if hashlib.sha256(public).hexdigest() != hub or unproven.hub != hub:
        raise KeysError(f"the key set is not that of the hub {hub[:12]}")
    return KeySet.from_bytes(opened(KEY_SET, envelope, {key_id_of(public): public}).body)


def _unproven_body(envelope: bytes) -> bytes:
    """Return the body of an envelope without any proof, to learn which key would prove it."""
    return b64decode(str(decode(envelope)["payload"]), validate=True)


def _key(file: Path) -> SigningKey:
    if not file.exists():
        _write(file, bytes(SigningKey.generate()).hex().encode(), mode=0o600)
    try:
        seed = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise KeysError(f"{file} is no key", hint="restore it from the backup") from error
    if len(seed) != _SEED_BYTES:
        raise KeysError(f"{file} is no key", hint="restore it from the backup")
    return SigningKey(seed)


def _write(file: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that it is there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).chmod(mode)
    Path(name).rename(file)
