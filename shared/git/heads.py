"""Read what libgit2 says of a remote's refs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.git.remote import RemoteRef

_PEELED = "^{}"


def refs_of(heads: Iterable[Any]) -> list[RemoteRef]:
    """Return the refs, annotated tags with the commit that they lead to."""
    listed = list(heads)
    peeled = {
        str(head.name).removesuffix(_PEELED): str(head.oid) for head in listed if str(head.name).endswith(_PEELED)
    }
    return [
        RemoteRef(str(head.name), str(head.oid), peeled.get(str(head.name), ""), head.symref_target or "")
        for head in listed
        if not str(head.name).endswith(_PEELED)
    ]
