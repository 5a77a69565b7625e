"""How a cluster's API is reached: address, trust and identity, as values that travel between processes."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import PermanentError, TransientError


class BadAccessError(PermanentError):
    """The cluster's credentials cannot be used as they are."""

    code = "kube.credentials"


class AccessUnavailableError(TransientError):
    """The credentials could not be had this time: a plugin failed or took too long."""

    code = "kube.credentials-unavailable"


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that a connection to one API server needs; certificates are PEM text, never paths."""

    server: str
    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)
    """The whole value of the header: `Bearer ...` or `Basic ...`."""
    server_name: str = ""
    """The name that the server's certificate must hold, where it is not the address."""
    verify: bool = True
    proxy: str = ""
    expires_at: float = 0.0
    """Unix time after which a new one must be asked for; 0 where nobody said."""

    def same_transport(self, other: Access) -> bool:
        """Tell whether pooled connections of `other` may serve this one: only the header differs."""
        return (self.server, self.ca, self.certificate, self.key, self.server_name, self.verify, self.proxy) == (
            other.server,
            other.ca,
            other.certificate,
            other.key,
            other.server_name,
            other.verify,
            other.proxy,
        )

    def to_bytes(self) -> bytes:
        """Return the form that a child process hands over."""
        return encode(asdict(self))


def access_of(data: bytes) -> Access:
    """Return the access that a child handed over.

    Raises:
        AccessUnavailableError: it says that trying again may help, or what it says is no access at all.
        BadAccessError: it says that somebody must change something.
    """
    try:
        told: Any = decode(data)
    except NotJSONError as error:
        raise AccessUnavailableError("the credentials child ended without an answer") from error
    if not isinstance(told, Mapping):
        raise AccessUnavailableError("the credentials child gave an answer of another form")
    if "error" in told:
        kind = AccessUnavailableError if told.get("transient") else BadAccessError
        raise kind(str(told["error"]), hint=str(told.get("hint", "")))
    return Access(**told)


def tls_context(access: Access, *, strict: bool = True) -> ssl.SSLContext | None:
    """Return the TLS settings for `access`, None for plain HTTP.

    Args:
        access: what to trust and how to show oneself.
        strict: False drops X.509 strictness: many clusters' own CAs lack the key usage that Python 3.13 asks for.

    Raises:
        BadAccessError: certificate, key or CA is not PEM that fits together.
    """
    if not access.server.startswith("https:"):
        return None
    try:
        context = ssl.create_default_context(cadata=access.ca or None)
        if not access.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if not strict:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if access.certificate:
            _load_chain(context, access)
    except (ssl.SSLError, ValueError) as error:
        raise BadAccessError(
            f"cluster {access.server}: its certificates cannot be used: {error}", hint="check the kubeconfig"
        ) from error
    return context


def _load_chain(context: ssl.SSLContext, access: Access) -> None:
    """Load the client certificate; Python reads it from a file only, so one lives for a moment (mode 0600)."""
    with tempfile.NamedTemporaryFile(prefix="towline-") as file:
        file.write(access.certificate.encode() + b"\n" + access.key.encode())
        file.flush()
        context.load_cert_chain(file.name)
