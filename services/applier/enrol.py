"""Join a hub once: check that it is the one the token names, prove our key, keep what it gives."""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from services.applier.identity import Identity, NewKey
from services.applier.verify import trusted_keys
from shared.bus.keys import public_of, sign_with_seed
from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import PermanentError, TransientError

ANSWER_TIMEOUT_S = 45.0
MAX_ANSWER_BYTES = 1 << 20


class BadTokenError(PermanentError):
    """The join token is not one."""

    code = "enrol.token"


class RefusedByHubError(PermanentError):
    """The hub refused: the token was used, is too old, or belongs to another cluster."""

    code = "enrol.refused"


class HubUnreachableError(TransientError):
    """The hub did not answer as a hub."""

    code = "hub.unreachable"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What `towline cluster add` prints."""

    hub: str
    root: str
    cluster: str
    secret: str = field(repr=False)
    ca: str = ""
    """sha256 in hex of the certificate that the hub shows; empty where its CA is known."""


@dataclass(frozen=True, slots=True)
class Here:
    """What the agent says about its cluster."""

    uid: str
    kubernetes: str
    agent: str
    claims: Mapping[str, str]


def token_of(text: str) -> JoinToken:
    """Return the join token that `text` is.

    Raises:
        BadTokenError: it is none.
    """
    try:
        told = decode(urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4)))
        token = JoinToken(
            hub=str(told["hub"]),
            root=str(told["root"]),
            cluster=str(told["cluster"]),
            secret=str(told["secret"]),
            ca=str(told.get("ca") or ""),
        )
    except (NotJSONError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise BadTokenError(
            "this is not a join token", hint="copy the whole line that `towline cluster add` printed"
        ) from error
    if urlsplit(token.hub).scheme not in {"http", "https"}:
        raise BadTokenError(f"the join token names {token.hub!r}, which is no address of a hub")
    return token


async def enrolled(token: JoinToken, key: NewKey, here: Here, *, url: str = "") -> Identity:
    """Return the identity that the hub gives for `key`.

    Args:
        token: made by the hub for this cluster.
        key: made by this agent; kept by the caller, so that an answer that got lost can be asked for again.
        here: what the hub is told about this cluster.
        url: where to reach the hub, when not where the token says.

    Raises:
        HubUnreachableError: no answer, or the answer of something else; later it may work.
        RefusedByHubError: the hub refuses, or is not the one that made the token.
    """
    base = (url or token.hub).rstrip("/")
    tls = _pinned(token.ca)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)) as client:
        told = await _exchange(client, "GET", f"{base}/enrol/v1/hub", None, tls)
        key_set = str(told.get("key_set") or "")
        # The fingerprint in the token, not the connection, makes this the right hub.
        trusted_keys(key_set.encode(), token.root)
        answer = await _exchange(client, "POST", f"{base}/enrol/v1", encode(_asked(token, key, here)), tls)
    identity = Identity(
        cluster=str(answer.get("cluster") or ""),
        hub=str(answer.get("hub") or ""),
        url=base,
        seed=key.seed,
        digest_key=key.digest_key,
        user_jwt=str(answer.get("user_jwt") or ""),
        expires=str(answer.get("expires") or ""),
        key_set=str(answer.get("key_set") or key_set),
        bus=tuple(str(each) for each in answer.get("bus") or ()),
        uid=here.uid,
        ca=token.ca,
    )
    if (identity.cluster, identity.hub) != (token.cluster, token.root) or not identity.user_jwt:
        raise RefusedByHubError("the hub answered for another cluster or hub than the token names")
    identity.trust()
    return identity


async def bus_places(identity: Identity) -> tuple[str, ...]:
    """Ask the hub where its bus is now; empty when it does not say, for what it says is only a place to look.

    Raises:
        HubUnreachableError: it did not answer.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)) as client:
        told = await _exchange(client, "GET", f"{identity.url}/.well-known/towline", None, _pinned(identity.ca))
    return tuple(str(each) for each in told.get("bus") or ()) if told.get("hub") == identity.hub else ()


async def renewed(identity: Identity) -> Identity:
    """Return the identity with a new credential for its key, got from the hub without the bus.

    Raises:
        HubUnreachableError: no answer; later it may work.
        RefusedByHubError: the hub does not want this agent any more.
    """
    nonce = secrets.token_hex(16)
    asked = {
        "schema": 1,
        "crit": [],
        "cluster": identity.cluster,
        "public_key": public_of(identity.seed),
        "nonce": nonce,
        "proof": sign_with_seed(identity.seed, f"towline-renew:{identity.cluster}:{nonce}".encode()).hex(),
        "uid": identity.uid,
    }
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)) as client:
        url = f"{identity.url}/enrol/v1/renew"
        answer = await _exchange(client, "POST", url, encode(asked), _pinned(identity.ca))
    fresh = identity.renewed(answer)
    fresh.trust()
    return fresh


def _asked(token: JoinToken, key: NewKey, here: Here) -> dict[str, Any]:
    nonce = secrets.token_hex(16)
    # Of the secret its hash: the releaser, which checks the proof, never sees the secret itself.
    hashed = hashlib.sha256(token.secret.encode()).hexdigest()
    proven = f"towline-enrol:{token.cluster}:{nonce}:{hashed}".encode()
    return {
        "schema": 1,
        "crit": [],
        "cluster": token.cluster,
        "secret": token.secret,
        "public_key": key.public,
        "nonce": nonce,
        "proof": sign_with_seed(key.seed, proven).hex(),
        "uid": here.uid,
        "kubernetes": here.kubernetes,
        "agent": here.agent,
        "claims": dict(here.claims),
    }


def _pinned(certificate: str) -> aiohttp.Fingerprint | None:
    """Return how to check the hub's certificate; None: as the system does."""
    return aiohttp.Fingerprint(bytes.fromhex(certificate)) if certificate else None


async def _exchange(
    client: aiohttp.ClientSession, verb: str, url: str, body: bytes | None, tls: aiohttp.Fingerprint | None
) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        async with client.request(
            verb, url, data=body, headers=headers, ssl=tls or True, allow_redirects=False
        ) as response:
            data = await response.content.read(MAX_ANSWER_BYTES)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise HubUnreachableError(f"{verb} {url} got no answer: {str(error) or type(error).__name__}") from error
    try:
        told = decode(data)
    except NotJSONError:
        told = None
    if status < 300 and isinstance(told, dict):
        return told
    message, code = _problem(told)
    if status in {408, 429} or status >= 500 or not isinstance(told, dict):
        raise HubUnreachableError(f"{verb} {url} answers {status}: {message}")
    raise RefusedByHubError(
        f"the hub refused: {message}", code=code or RefusedByHubError.code, hint="ask for a new token"
    )


def _problem(told: Any) -> tuple[str, str]:
    """Return message and code of the hub's error answer (RFC 9457)."""
    if not isinstance(told, dict):
        return "no JSON", ""
    return str(told.get("detail") or "no reason given"), str(told.get("code") or "")
