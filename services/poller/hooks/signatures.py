"""Which forge a delivery is from, and whether who sent it knows a secret of the source.

The signature is computed over the bytes as they came, before anything reads them, and compared in constant time with
every secret that counts: while one is exchanged for another, both do.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.poller.hooks.refusals import HookRefusedError

TOLERANCE_S = 300
"""So far the time of a signature may be off, after the Standard Webhooks specification."""
SIGNATURES = 8
"""So many a delivery may bring; a sender brings two while it exchanges its own secret."""

_SHA256 = "sha256="
_STANDARD_KEY = "whsec_"
_STANDARD = "webhook-signature"


class Provider(StrEnum):
    """Whose form a delivery has."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    GOGS = "gogs"
    BITBUCKET = "bitbucket"
    AZURE = "azure"
    STANDARD = "standard"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was posted."""

    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes = b""

    def first(self, names: Iterable[str]) -> str:
        """Return the first of some headers that is there, or nothing."""
        return next((self.headers[name] for name in names if self.headers.get(name)), "")


@dataclass(frozen=True, slots=True)
class _Form:
    """The headers of one provider, the one that counts first."""

    known_by: tuple[str, ...]
    signature: tuple[str, ...] = ()
    """Of the body, in hex."""
    prefix: str = ""
    """Of that signature."""
    delivery: tuple[str, ...] = ()


# Forgejo and Gitea also send the headers of Gogs and GitHub, so the order counts.
_FORMS = {
    Provider.GITEA: _Form(
        known_by=("x-forgejo-event", "x-gitea-event"),
        signature=("x-forgejo-signature", "x-gitea-signature"),
        delivery=("x-forgejo-delivery", "x-gitea-delivery"),
    ),
    Provider.GOGS: _Form(("x-gogs-event",), ("x-gogs-signature",), delivery=("x-gogs-delivery",)),
    Provider.GITHUB: _Form(("x-github-event",), ("x-hub-signature-256",), _SHA256, ("x-github-delivery",)),
    Provider.BITBUCKET: _Form(
        ("x-event-key",), ("x-hub-signature",), _SHA256, delivery=("x-request-uuid", "x-request-id")
    ),
    # The event's UUID is shared by events that follow from one another.
    Provider.GITLAB: _Form(("x-gitlab-event",), delivery=("idempotency-key", "webhook-id", "x-gitlab-event-uuid")),
    Provider.STANDARD: _Form((_STANDARD,), delivery=("webhook-id",)),
    Provider.GENERIC: _Form(("x-signature",), ("x-signature",), _SHA256),
    Provider.AZURE: _Form(("authorization",)),
}
_WITH_EVENT = {Provider.GITEA, Provider.GOGS, Provider.GITHUB, Provider.BITBUCKET, Provider.GITLAB}


def provider_of(delivery: Delivery) -> Provider:
    """Return whose form a delivery has.

    Raises:
        HookRefusedError: it has nobody's, so there is nothing that could prove who sent it.
    """
    for provider, form in _FORMS.items():
        if delivery.first(form.known_by):
            return provider
    raise HookRefusedError(
        "the delivery has no signature that the hub knows",
        code="hook.unauthentic",
        hint="enter a secret at the forge, or sign the body: X-Signature: sha256=HEX",
    )


def event_of(provider: Provider, delivery: Delivery) -> str:
    """Return the event that the headers name, or nothing where the body does."""
    return delivery.first(_FORMS[provider].known_by) if provider in _WITH_EVENT else ""


def id_of(provider: Provider, delivery: Delivery) -> str:
    """Return what the sender calls this delivery, or nothing."""
    return delivery.first(_FORMS[provider].delivery)


def covers_id(provider: Provider) -> bool:
    """Tell whether nobody without the secret can send the same again under another id."""
    return not _FORMS[provider].signature


def prove(provider: Provider, delivery: Delivery, secrets: Sequence[str], now_s: float) -> None:
    """Return when the delivery is from somebody who knows one of `secrets`; `now_s` is the time since 1970.

    Raises:
        HookRefusedError: it is not, with the reason.
    """
    if provider is Provider.STANDARD or (provider is Provider.GITLAB and _STANDARD in delivery.headers):
        known = _standard(delivery, secrets, now_s)
    elif provider is Provider.GITLAB:
        known = _equal(_given(delivery, ("x-gitlab-token",)), secrets)
    elif provider is Provider.AZURE:
        known = _basic(delivery, secrets)
    else:
        form = _FORMS[provider]
        signed = (hmac.new(_bytes(secret), delivery.body, hashlib.sha256).hexdigest() for secret in secrets)
        known = _equal(_given(delivery, form.signature), [form.prefix + each for each in signed])
    if not known:
        raise HookRefusedError(
            f"no secret of this source fits what {provider} sent",
            code="hook.unauthentic",
            hint="enter the same secret at the forge and in the hub's file of webhook secrets",
        )


def _given(delivery: Delivery, names: Sequence[str]) -> str:
    given = delivery.first(names)
    if not given:
        raise HookRefusedError(
            f"the delivery is not signed: it has no {names[0]}",
            code="hook.unauthentic",
            hint="enter a secret at the forge",
        )
    return given


def _standard(delivery: Delivery, secrets: Sequence[str], now_s: float) -> bool:
    """Prove by the Standard Webhooks specification: id, time and body are signed."""
    name, stamp = _given(delivery, ("webhook-id",)), _given(delivery, ("webhook-timestamp",))
    given = _given(delivery, (_STANDARD,)).split(" ", SIGNATURES)[:SIGNATURES]
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16):
        raise HookRefusedError("webhook-timestamp is no time", code="hook.unauthentic", hint="it is seconds since 1970")
    if abs(int(stamp) - now_s) > TOLERANCE_S:
        raise HookRefusedError(
            f"the signature's time is {abs(int(stamp) - now_s):.0f} s off",
            code="hook.unauthentic",
            hint="set the clocks of the hub and of the sender; an old delivery is not taken again",
        )
    text = b".".join((_bytes(name), _bytes(stamp), delivery.body))
    signed = [hmac.new(_standard_key(secret), text, hashlib.sha256).digest() for secret in secrets]
    wanted = ["v1," + b64encode(each).decode() for each in signed]
    return any(_equal(each, wanted) for each in given)


def _standard_key(secret: str) -> bytes:
    if not secret.startswith(_STANDARD_KEY):
        return _bytes(secret)
    try:
        return b64decode(secret.removeprefix(_STANDARD_KEY))
    except binascii.Error:
        return _bytes(secret)


def _basic(delivery: Delivery, secrets: Sequence[str]) -> bool:
    """Prove by HTTP Basic: `user:password` is the secret, or the password alone."""
    scheme, _, given = delivery.headers["authorization"].partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        credentials = b64decode(given, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return _equal(credentials, secrets) or _equal(credentials.partition(":")[2], secrets)


def _equal(given: str, wanted: Sequence[str]) -> bool:
    """Tell whether a text is one of others; the time it takes says nothing about which."""
    return sum(hmac.compare_digest(_bytes(given), _bytes(each)) for each in wanted) > 0


def _bytes(text: str) -> bytes:
    # Headers may hold bytes that are no UTF-8.
    return text.encode("utf-8", "surrogateescape")
