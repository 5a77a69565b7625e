"""Keys that sign commits, as people have them: of ssh-keygen and of OpenPGP."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign


@dataclass(frozen=True)
class SshSigner:
    """A key of ssh-keygen."""

    file: Path
    keys: Path | None = None
    """The hub's file that holds it."""

    @property
    def public(self) -> str:
        """The key as a line of `allowed_signers` wants it."""
        return " ".join(self.file.with_suffix(".pub").read_text().split()[:2])

    def __call__(self, payload: bytes, namespace: str = "git", hash_name: str = "sha512") -> str:
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-O", f"hashalg={hash_name}", "-f", str(self.file)]
        return subprocess.run(command, input=payload, capture_output=True, check=True).stdout.decode()


@dataclass(frozen=True)
class PgpSigner:
    """A key of OpenPGP."""

    key: Tsk

    def __call__(self, payload: bytes) -> str:
        return sign(self.key.signer(), payload, mode=SignatureMode.DETACHED).decode()


@pytest.fixture(scope="session")
def ssh_signer(tmp_path_factory):
    """Make keys of ssh-keygen by name, each once."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed (Debian: openssh-client)")
    folder = tmp_path_factory.mktemp("ssh")

    def made(name: str, kind: str = "ed25519") -> SshSigner:
        file = folder / f"{name}-{kind}"
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(file)], check=True)
        return SshSigner(file)

    return made


@pytest.fixture(scope="session")
def pgp_signer():
    """Make keys of OpenPGP by name, each once."""
    known: dict[str, PgpSigner] = {}

    def made(name: str) -> PgpSigner:
        return known.setdefault(name, PgpSigner(Tsk.generate(user_id=f"{name} <{name}@example.org>")))

    return made
