"""Show values to people without giving secrets away (rule P1).

A masked value carries eight digits of a keyed digest: changed and unchanged can be told apart, guessing cannot be
checked without the agent's key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.applier.fields import MISSING, Path
from shared.core.canonical import encode
from shared.core.objects import ObjectKey

SHOWN_CHARACTERS = 120
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SECRETS = frozenset({("", "Secret")})
# In maps of free names, where the name is all that tells.
_SECRET_NAME = re.compile("password|passwd|passphrase|token|secret|key|credential", re.IGNORECASE)
# As a field of any kind; `secretName` and `secretKeyRef` only refer to secrets.
_SECRET_FIELD = re.compile("(password|passphrase|token|secret|credentials?|api-?key|private-?key)$", re.IGNORECASE)
# Whole objects that tools wrote down, Secrets among them.
_COPIES = frozenset(f"f:{name}" for name in (LAST_APPLIED, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied"))
_OPEN = frozenset({"f:apiVersion", "f:kind", "f:metadata", "f:status"})
_URL_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s]+@")
_FLAG = re.compile(r"(?i)(--?[\w.-]*(?:password|passwd|passphrase|token|secret|api-?key|credentials?)[\w.-]*[=\s])\S+")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Redaction:
    """How this agent hides what is secret."""

    key: bytes = field(repr=False)
    """The agent's own, for digests."""
    kinds: frozenset[tuple[str, str]] = frozenset()
    """(group, kind) of custom resources that hold secrets, all but their metadata and status (P6)."""
    opened: set[ObjectKey] = field(default_factory=set)
    """What was encrypted in git: whatever its kind, it holds secrets."""


def shown(key: ObjectKey, path: Path, value: Any, redaction: Redaction) -> str:
    """Return `value`, which stands at `path` of the object, as a short text without secrets."""
    if value is MISSING:
        return "nothing"
    text = encode(masked(key, path, value, redaction)).decode()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def masked(key: ObjectKey, path: Path, value: Any, redaction: Redaction) -> Any:
    """Return `value` with everything in it masked that must not be shown."""
    if _is_secret(key, path, redaction) and not isinstance(value, bool) and value not in ({}, [], "", None):
        # A mapping of secrets keeps its names: they say what changed, and stand in manifests all the same.
        if isinstance(value, Mapping):
            return {str(name): _digested(member, redaction) for name, member in value.items()}
        return _digested(value, redaction)
    if isinstance(value, Mapping):
        named = value.get("name")
        return {
            str(name): masked(
                key,
                (*path, f"k:{named}", "f:value") if name == "value" and "f:env" in path else (*path, f"f:{name}"),
                member,
                redaction,
            )
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(key, (*path, "i:0"), member, redaction) for member in value]
    return _cleaned(value) if isinstance(value, str) else value


def _cleaned(text: str) -> str:
    """Return a text without logins in URLs, values of telling flags, and private keys."""
    return _FLAG.sub(r"\1***", _URL_LOGIN.sub(r"\1***@", _PRIVATE_KEY.sub("***", text)))


def _is_secret(key: ObjectKey, path: Path, redaction: Redaction) -> bool:
    """Tell whether what stands at `path` must not be shown."""
    if not path:
        return False
    kind = (key.group, key.kind)
    if (
        (kind in SECRETS and path[0] in {"f:data", "f:stringData"})
        or ((kind in redaction.kinds or key in redaction.opened) and path[0] not in _OPEN)
        or path[-1] in _COPIES
    ):
        return True
    if kind == ("", "ConfigMap") and len(path) > 1 and path[0] in {"f:data", "f:binaryData"}:
        return bool(_SECRET_NAME.search(path[1]))
    if path[-1] == "f:value" and "f:env" in path:
        return bool(_SECRET_NAME.search(path[-2]))
    return bool(path[-1].startswith("f:") and _SECRET_FIELD.search(path[-1]))


def _digested(value: Any, redaction: Redaction) -> str:
    return f"***({hmac.digest(redaction.key, encode(value), 'sha256').hex()[:8]})"
