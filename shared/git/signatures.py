"""Take the signature of a commit or an annotated tag apart from what it signs, byte for byte.

Source: what git itself signs. A commit's signature is a header and signs everything but the signature headers; a tag's
stands at its end and signs everything before. Whether a signature counts is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.git.objects import BadObjectError

PGP = b"-----BEGIN PGP "
SSH = b"-----BEGIN SSH SIGNATURE-----"

_HEADER = b"gpgsig"
_HEADERS = {_HEADER, b"gpgsig-sha256"}


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and by which signature."""

    payload: bytes
    signature: bytes = b""
    """In armour; empty: nobody signed it."""


@dataclass(frozen=True, slots=True)
class SignedTag:
    """An annotated tag."""

    name: str
    """As the tag itself says; a ref of another name may lead to it."""
    commit: str
    """What it leads to, by its own word; empty when that is no commit."""
    signed: Signed


def signed_commit(raw: bytes) -> Signed:
    """Return the signature of a commit's bytes.

    Raises:
        BadObjectError: it carries more than one, so tools would disagree about what counts.
    """
    head, blank, message = raw.partition(b"\n\n")
    payload: list[bytes] = []
    signatures: list[list[bytes]] = []
    name = b""
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            name, _, value = line.partition(b" ")
            if name == _HEADER:
                signatures.append([value])
        elif name == _HEADER:
            signatures[-1].append(line[1:])
        if name not in _HEADERS:
            payload.append(line)
    if len(signatures) > 1:
        raise BadObjectError("a commit carries two signatures", hint="sign it anew")
    signature = b"\n".join(signatures[0]) + b"\n" if signatures else b""
    return Signed(b"\n".join(payload) + blank + message, signature)


def signed_tag(raw: bytes) -> SignedTag:
    """Return the name, the commit and the signature of an annotated tag's bytes."""
    lines = raw.partition(b"\n\n")[0].split(b"\n")
    headers = dict(reversed([line.partition(b" ")[::2] for line in lines]))
    start = max(raw.rfind(b"\n" + mark) for mark in (PGP, SSH)) + 1
    return SignedTag(
        headers.get(b"tag", b"").decode(errors="replace"),
        headers.get(b"object", b"").decode(errors="replace") if headers.get(b"type") == b"commit" else "",
        Signed(raw[:start], raw[start:]) if start else Signed(raw),
    )
