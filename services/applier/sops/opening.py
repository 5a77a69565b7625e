"""Decrypt a file of SOPS, check its MAC, and fill the values into the object that was made of it.

The MAC turns on the file as it was written, with its order of keys; the object may have got another name, namespace or
label since. So a value is filled in where the object still has, at the same keys, the very text that the file has there.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.applier.sops.errors import SopsError
from services.applier.sops.files import ENCRYPTED, Path, SopsFile, counted, read
from services.applier.sops.keys import Keyring
from shared.core.kubescalars import Scalar, as_json
from shared.core.objects import Manifest

_DAMAGED = "restore it from git's history, or encrypt it anew"
# What sops begins the MAC with where it covers encrypted values only.
_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
Value = Scalar


def _finite(text: str) -> Value:
    value = float(text)
    if not isfinite(value):
        raise ValueError(text)
    return as_json(value)


_READ: Mapping[str, Callable[[str], Value]] = {
    "str": str,
    "int": int,
    "float": _finite,
    "bool": lambda text: text == "True",
    "bytes": str,
    "time": str,
    "comment": str,
}


def opened(manifest: Manifest, keyring: Keyring) -> Manifest:
    """Return an object with its values decrypted and without what SOPS added.

    Raises:
        SopsError: it cannot be opened; nothing of it may be applied.
    """
    text = manifest["sops"].get("text")
    if not isinstance(text, str):
        raise SopsError(
            "its bundle does not bring the file that it was made of", "see that the hub is as new as the agent"
        )
    file = read(text)
    values = decrypted(file, keyring.data_key(file.metadata))
    found = {name: _filled(member, (name,), values) for name, member in manifest.items() if name != "sops"}
    return _settled(found)


def decrypted(file: SopsFile, key: bytes) -> dict[tuple[Path, str], Value]:
    """Return by place and encrypted text what the encrypted values of a file are.

    Raises:
        SopsError: somebody changed the file after SOPS wrote it.
    """
    only = str(file.metadata.get("mac_only_encrypted")) in {"true", "True"}
    mac = hashlib.sha512(_ONLY_ENCRYPTED if only else b"")
    found: dict[tuple[Path, str], Value] = {}
    cipher = AESGCM(key)
    for path, scalar in file.values():
        match = ENCRYPTED.fullmatch(scalar.text)
        if match is None:
            mac.update(b"" if only else counted(scalar))
            continue
        where = ".".join(path)
        text = _plain(cipher, match, ":".join(path) + ":", where)
        mac.update(text.encode())
        found[path, scalar.text] = _value(match[4], text, where)
    sealed = ENCRYPTED.fullmatch(str(file.metadata.get("mac") or ""))
    if sealed is None:
        raise SopsError("it has no MAC", _DAMAGED)
    said = _plain(cipher, sealed, str(file.metadata.get("lastmodified") or ""), "its MAC")
    if not hmac.compare_digest(said, mac.hexdigest().upper()):
        raise SopsError("its MAC does not fit: somebody changed the file after sops wrote it", _DAMAGED)
    return found


def _plain(cipher: AESGCM, match: Any, bound: str, where: str) -> str:
    """Return the text of an encrypted value, which is bound to its place."""
    try:
        data, nonce, tag = (b64decode(each, validate=True) for each in match.groups()[:3])
        return cipher.decrypt(nonce, data + tag, bound.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SopsError(f"{where} is damaged, or was moved after sops encrypted it", _DAMAGED) from error


def _value(kind: str, text: str, where: str) -> Value:
    try:
        return _READ.get(kind, str)(text)
    except ValueError:
        raise SopsError(f"{where} is no {kind}, as sops says of it", _DAMAGED) from None  # which would tell the value


def _filled(node: Any, path: Path, values: Mapping[tuple[Path, str], Value]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(member, (*path, name), values) for name, member in node.items()}
    if isinstance(node, list):
        return [_filled(item, path, values) for item in node]
    if isinstance(node, str) and ENCRYPTED.fullmatch(node):
        try:
            return values[path, node]
        except KeyError:
            text = f"{'.'.join(path)} holds what its file has encrypted elsewhere"
            raise SopsError(text, "leave encrypted values where they are: patches may not move them") from None
    return node


def _settled(found: dict[str, Any]) -> dict[str, Any]:
    """Return a Secret with `data` alone (B3), which the renderer leaves as it is while its values are encrypted."""
    if found.get("kind") != "Secret" or found.get("apiVersion") != "v1" or "stringData" not in found:
        return found
    plain = found.pop("stringData")
    given = found.get("data") or {}
    if not (
        isinstance(plain, dict) and isinstance(given, dict) and all(isinstance(each, str) for each in plain.values())
    ):
        raise SopsError("a value of stringData is no text", "put it in quotes, then encrypt it anew")
    coded = {name: b64encode(text.encode()).decode() for name, text in plain.items()}
    return {**found, "data": {**given, **coded}} if given or coded else found
