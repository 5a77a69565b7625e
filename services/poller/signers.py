"""Whose signatures count: the keys of each signer, from a folder of the hub's owner.

A signer `ops` is what stands in `ops.asc`, OpenPGP certificates in armour, and in `ops.allowed_signers`, keys in the form
of ssh-keygen(1). Keys never come from the repository that they verify. The files are read at each use, so a key that is
taken out counts no more at the next look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from fnmatch import fnmatchcase
from pathlib import Path

from pysequoia import Cert
from sshsig.allowed_signers import AllowedSigner, load_allowed_signers_file

from services.poller.openpgp import Certificate
from services.poller.ssh_keys import SshPublicKey, public_key
from shared.core.names import name_problem
from shared.errors import PermanentError

CERTIFICATES = ".asc"
ALLOWED = ".allowed_signers"
NAMESPACE = "git"

_TIME = re.compile(r"(\d{8})(?:(\d{4})(\d{2})?)?(Z?)")


class SignersError(PermanentError):
    """The keys of a signer cannot be used, so nothing that it signed counts."""

    code = "source.signers"


@dataclass(frozen=True, slots=True)
class SshKey:
    """A line of a file of allowed signers."""

    key: SshPublicKey
    namespaces: tuple[str, ...] = ()
    """Globs; none: any."""
    after: datetime | None = None
    before: datetime | None = None

    def objection(self, now: datetime) -> str:
        """Return why signatures of this key do not count now, or nothing."""
        name = self.key.fingerprint
        if self.namespaces and not any(fnmatchcase(NAMESPACE, each) for each in self.namespaces):
            return f"the key {name} is not for the namespace {NAMESPACE!r}, but for {', '.join(self.namespaces)}"
        if self.after and now < self.after:
            return f"the key {name} counts only from {self.after.isoformat()}"
        if self.before and now >= self.before:
            return f"the key {name} expired on {self.before.isoformat()}"
        return ""


@dataclass(frozen=True, slots=True)
class Keys:
    """Everybody's keys of whom a signature is enough."""

    certificates: tuple[Certificate, ...] = ()
    ssh: tuple[SshKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Signers:
    """The folder at `path`. Its method blocks."""

    path: Path

    def keys(self, names: Iterable[str]) -> Keys:
        """Return the keys of the signers `names`, all together.

        Raises:
            SignersError: one has no keys here, or a file cannot be read.
        """
        certificates: list[Certificate] = []
        ssh: list[SshKey] = []
        for name in names:
            if problem := name_problem(name):
                raise SignersError(f"{name!r} is no name of a signer: {problem}")
            files = [self.path / f"{name}{suffix}" for suffix in (CERTIFICATES, ALLOWED)]
            if not any(file.is_file() for file in files):
                hint = f"put its keys into {files[0]} (OpenPGP) or {files[1]} (SSH)"
                raise SignersError(f"the hub has no keys of the signer {name!r}", hint=hint)
            certificates += _certificates(files[0])
            ssh += _allowed(files[1])
        return Keys(tuple(certificates), tuple(ssh))


def _certificates(file: Path) -> list[Certificate]:
    if not file.is_file():
        return []
    try:
        return [Certificate.of(cert) for cert in Cert.split_bytes(file.read_bytes())]
    except OSError as error:
        raise SignersError(f"the keys in {file} cannot be read: {error.strerror}") from error
    except RuntimeError as error:
        hint = "write it with: gpg --armor --export KEY"
        raise SignersError(f"{file} holds no OpenPGP certificates", hint=hint) from error


def _allowed(file: Path) -> list[SshKey]:
    if not file.is_file():
        return []
    hint = 'a line is: PRINCIPAL [namespaces="git",valid-before="20270101"] ssh-ed25519 AAAA...'
    try:
        return [_ssh_key(each) for each in load_allowed_signers_file(file)]
    except OSError as error:
        raise SignersError(f"the keys in {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SignersError(f"{file}: {error}", hint=hint) from error


def _ssh_key(line: AllowedSigner) -> SshKey:
    options = line.options or {}
    if "cert-authority" in options:
        raise ValueError("certificates of SSH are not supported, only keys")
    return SshKey(
        public_key(line.key_type, line.base64_key),
        tuple(filter(None, options.get("namespaces", "").split(","))),
        _time(options.get("valid-after", "")),
        _time(options.get("valid-before", "")),
    )


def _time(text: str) -> datetime | None:
    """Return the time that `YYYYMMDD[HHMM[SS]][Z]` is; without a Z in the zone of this machine, as for ssh-keygen."""
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time: write YYYYMMDD or YYYYMMDDHHMM[SS], with a Z for UTC")
    day, clock, seconds, utc = match.groups()
    zone: tzinfo | None = UTC if utc else None
    read = datetime.strptime(f"{day}{clock or '0000'}{seconds or '00'}", "%Y%m%d%H%M%S").replace(tzinfo=zone)
    return read.astimezone(UTC)
