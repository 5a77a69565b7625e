"""Secrets of the hub in files of their own: whole or not at all, and readable by nobody else."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shared.errors import PermanentError

CONTENT_BYTES = 32


class SecretFileError(PermanentError):
    """A secret's file does not hold what it should."""

    code = "secret.unreadable"


def content_secret(data: Path) -> bytes:
    """Return the secret from which the keys of sealed content are derived; the first who asks makes it."""
    path = data / "keys" / "content.secret"
    text = made_once(path, secrets.token_hex(CONTENT_BYTES))
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != CONTENT_BYTES:
        raise SecretFileError(f"{path} does not hold {CONTENT_BYTES} bytes in hex", hint="restore it from the backup")
    return secret


def made_once(path: Path, text: str) -> str:
    """Return what the file holds; write `text` into it first if nobody did. Several processes may try at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A link fails where a rename would replace: the first one wins.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text("utf-8").strip()
