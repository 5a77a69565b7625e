"""Show values to people without giving secrets away (rule P1).

A masked value carries eight digits of a keyed digest: changed and unchanged can be told apart, guessing cannot be
checked without the agent's key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any

from services.applier.fields import MISSING, Path
from shared.core.canonical import encode
from shared.core.objects import ObjectKey

SHOWN_CHARACTERS = 120
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# In maps of free names, where the name is all that tells.
_SECRET_NAME = re.compile("password|passwd|token|secret|key|credential", re.IGNORECASE)
# As a field of any kind; `secretName` and `secretKeyRef` only refer to secrets.
_SECRET_FIELD = re.compile("(password|passphrase|token|secret|credentials?|api-?key|private-?key)$", re.IGNORECASE)
_URL_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s]+@")


def shown(key: ObjectKey, path: Path, value: Any, secret: bytes) -> str:
    """Return `value`, which stands at `path` of the object, as a short text without secrets."""
    if value is MISSING:
        return "nothing"
    text = encode(_masked(key, path, value, secret)).decode()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def _masked(key: ObjectKey, path: Path, value: Any, secret: bytes) -> Any:
    if _is_secret(key, path) and not isinstance(value, bool) and value not in ({}, [], "", None):
        # A mapping of secrets keeps its names: they say what changed, and stand in manifests all the same.
        if isinstance(value, Mapping):
            return {str(name): _digested(member, secret) for name, member in value.items()}
        return _digested(value, secret)
    if isinstance(value, Mapping):
        named = value.get("name")
        return {
            str(name): _masked(
                key,
                (*path, f"k:{named}", "f:value") if name == "value" and "f:env" in path else (*path, f"f:{name}"),
                member,
                secret,
            )
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(key, (*path, "i:0"), member, secret) for member in value]
    return _URL_LOGIN.sub(r"\1***@", value) if isinstance(value, str) else value


def _is_secret(key: ObjectKey, path: Path) -> bool:
    """Tell whether what stands at `path` must not be shown."""
    if not path:
        return False
    if (key.group, key.kind) == ("", "Secret") and path[0] in {"f:data", "f:stringData"}:
        return True
    if path[-1] == f"f:{LAST_APPLIED}":
        return True
    if (key.group, key.kind) == ("", "ConfigMap") and len(path) > 1 and path[0] in {"f:data", "f:binaryData"}:
        return bool(_SECRET_NAME.search(path[1]))
    if path[-1] == "f:value" and "f:env" in path:
        return bool(_SECRET_NAME.search(path[-2]))
    return bool(path[-1].startswith("f:") and _SECRET_FIELD.search(path[-1]))


def _digested(value: Any, secret: bytes) -> str:
    return f"***({hmac.digest(secret, encode(value), 'sha256').hex()[:8]})"
