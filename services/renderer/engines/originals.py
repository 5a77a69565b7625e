"""Put the file that SOPS encrypted into each object that was made of it, in place of SOPS' own entry.

An agent checks the MAC on the file as it stands in git: the object may have got another order, name or namespace. Which
file it was, the MAC itself tells, for no two files have the same.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.renderer.finish import Piece
from shared.core.objects import group_of, key_of
from shared.errors import Finding, FindingsError

# No file of SOPS is shorter, in base64.
_SHORTEST = 200
# Custom resources that an operator in the cluster decrypts.
_OPERATORS = frozenset({"isindir.github.com"})


@dataclass(frozen=True, slots=True)
class Originals:
    """The files of one job."""

    files: Mapping[str, bytes]

    def __call__(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Return the pieces, those that SOPS encrypted with their files.

        Raises:
            FindingsError: files that are not there.
        """
        findings: list[Finding] = []
        found = list(self._with_files(pieces, findings))
        if findings:
            raise FindingsError(findings)
        return found

    def _with_files(self, pieces: Iterable[Piece], findings: list[Finding]) -> Iterator[Piece]:
        for piece in pieces:
            mac = _mac(piece.manifest)
            if not mac:
                if name := _encrypted_entry(piece.manifest):
                    findings.append(_generated(piece, name))
                yield piece
                continue
            path = self._file_with(mac.encode(), piece.file)
            if path:
                entry = {"file": path, "text": self.files[path].decode(errors="replace")}
                yield replace(piece, manifest={**piece.manifest, "sops": entry})
                continue
            key = key_of(piece.manifest)
            text = f"{key.kind} {key.name} is encrypted by SOPS, and none of the app's files has its MAC"
            findings.append(
                Finding("render.sops", text, piece.file, piece.line, hint="leave the entry `sops` as it is")
            )

    def _file_with(self, mac: bytes, likely: str) -> str:
        if mac in self.files.get(likely, b""):
            return likely
        return next((path for path, content in self.files.items() if mac in content), "")


def _encrypted_entry(manifest: Mapping[str, Any]) -> str:
    """Return the entry of a Secret that holds a whole file which SOPS encrypted, as `secretGenerator` makes it."""
    entries = manifest.get("data") if manifest.get("kind") == "Secret" else None
    for name, value in entries.items() if isinstance(entries, Mapping) else ():
        if name == "sops_mac" or (isinstance(value, str) and len(value) > _SHORTEST and _is_file(value)):
            return str(name)
    return ""


def _is_file(coded: str) -> bool:
    try:
        content = b64decode(coded)
    except ValueError:
        return False
    return b"ENC[AES256_GCM," in content and b"sops" in content


def _generated(piece: Piece, entry: str) -> Finding:
    name = key_of(piece.manifest).name
    text = f"Secret {name} is made of a file that SOPS encrypted (entry {entry}), and agents open whole objects only"
    hint = "encrypt a manifest of the Secret in place of the file that secretGenerator reads"
    return Finding("render.sops", text, piece.file, piece.line, hint=hint)


def _mac(manifest: Mapping[str, Any]) -> str:
    sops, version = manifest.get("sops"), manifest.get("apiVersion")
    if not isinstance(sops, Mapping) or (isinstance(version, str) and group_of(version) in _OPERATORS):
        return ""
    mac = sops.get("mac")
    return mac if isinstance(mac, str) else ""
