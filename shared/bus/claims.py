"""Mint the claims of NATS: signed JWTs of operator, accounts and users.

Only what the server reads is written. A limit of -1 is none; a user under a scoped signing key carries no permissions
of its own, the key's template gives them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from shared.bus.keys import public_of, sign_with_seed
from shared.bus.permissions import EXPORTS, Permissions, agent_permissions
from shared.errors import PermanentError

CONNECTION_TYPES = ["STANDARD", "WEBSOCKET"]

_NO_LIMITS = {"subs": -1, "data": -1, "payload": -1}


class ClaimsError(PermanentError):
    """A JWT cannot be read."""

    code = "bus.jwt-invalid"


def minted(seed: str, subject: str, nats: Mapping[str, Any], **claims: str | int) -> str:
    """Return a JWT about `subject`, signed by `seed`; `claims` are name, iat and exp."""
    body: dict[str, Any] = {**claims, "iss": public_of(seed), "sub": subject, "nats": {**nats, "version": 2}}
    digest = hashlib.sha256(_packed(body)).digest()
    body["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    signed = f"{_base64(_packed({'typ': 'JWT', 'alg': 'ed25519-nkey'}))}.{_base64(_packed(body))}"
    return f"{signed}.{_base64(sign_with_seed(seed, signed.encode()))}"


def claims_of(jwt: str) -> dict[str, Any]:
    """Return what a JWT says, without checking who signed it.

    Raises:
        ClaimsError: the text is no JWT.
    """
    try:
        part = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError) as error:
        raise ClaimsError("this is no JWT: three parts of base64url are expected") from error
    if not isinstance(claims, dict):
        raise ClaimsError("this is no JWT: its claims are no mapping")
    return claims


def operator_claims(system_account: str) -> dict[str, Any]:
    """Return the operator's claims."""
    return {"type": "operator", "system_account": system_account}


def account_claims(**parts: Any) -> dict[str, Any]:
    """Return the claims of an account without storage, with `parts` of its own."""
    return {
        "type": "account",
        "limits": {
            **_NO_LIMITS,
            "imports": -1,
            "exports": -1,
            "wildcards": True,
            "conn": -1,
            "leaf": 0,
        },
        "default_permissions": {"pub": {}, "sub": {}},
        **parts,
    }


def hub_claims() -> dict[str, Any]:
    """Return the claims of the account with the streams."""
    claims = account_claims(exports=[{"name": e.subject, "subject": e.subject, "type": e.kind} for e in EXPORTS])
    claims["limits"] |= {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    return claims


def agents_claims(hub: str, signing_key: str, revocations: Mapping[str, int]) -> dict[str, Any]:
    """Return the claims of the account of all agents.

    Args:
        hub: public key of the account that exports.
        signing_key: public key that issues agents' users; its template binds each to the cluster in its tag.
        revocations: public key of a user → second before which its credentials are void.
    """
    imports = [
        {"name": e.subject, "subject": e.subject, "account": hub, "type": e.kind, "local_subject": e.known_as}
        if e.known_as
        else {"name": e.subject, "subject": e.subject, "account": hub, "type": e.kind}
        for e in EXPORTS
    ]
    scope = {
        "kind": "user_scope",
        "key": signing_key,
        "role": "agent",
        "template": {**_NO_LIMITS, **_allowed(agent_permissions()), "allowed_connection_types": CONNECTION_TYPES},
    }
    return account_claims(imports=imports, signing_keys=[scope], revocations=dict(revocations))


def user_claims(permissions: Permissions) -> dict[str, Any]:
    """Return the claims of a user with permissions of its own."""
    return {
        "type": "user",
        **_NO_LIMITS,
        **_allowed(permissions),
        "allowed_connection_types": CONNECTION_TYPES,
    }


def agent_claims(account: str, cluster: str) -> dict[str, Any]:
    """Return the claims of an agent: exactly one cluster tag, everything else by the signing key's template."""
    return {"type": "user", "issuer_account": account, "tags": [f"cluster:{cluster}"]}


def _allowed(permissions: Permissions) -> dict[str, Any]:
    return {"pub": {"allow": list(permissions.publish)}, "sub": {"allow": list(permissions.subscribe)}}


def _packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
