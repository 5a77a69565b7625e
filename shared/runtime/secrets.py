"""Secrets that several programs share as files: made once by whoever needs them first."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from shared.errors import PermanentError

CONTENT_SECRET = "content.secret"  # noqa: S105 - the file's name
SECRET_BYTES = 32


class SecretFileError(PermanentError):
    """A secret's file cannot be used."""

    code = "runtime.secret"


def content_secret(folder: Path) -> bytes:
    """Return the secret from which the keys of sealed content are derived, making it at the first call.

    Args:
        folder: the keys' folder, `DIR/keys`.

    Raises:
        SecretFileError: the file does not hold 32 bytes in hex.
    """
    path = folder / CONTENT_SECRET
    if not path.exists():
        write_once(path, secrets.token_hex(SECRET_BYTES))
    text = path.read_text("ascii", "replace").strip()
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise SecretFileError(
            f"{path} does not hold {SECRET_BYTES} bytes in hex",
            hint="restore it from the backup: content depends on it",
        )
    return secret


def write_once(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all; an existing one stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two that start at once the first wins, and both read the same.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
