"""Read what libgit2 says of a remote's refs, and how many there may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.git.remote import RemoteRef, SourceError

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


def bounded(refs: Sequence[RemoteRef], limit: int) -> list[RemoteRef]:
    """Return the refs.

    Raises:
        SourceError: they are more than `limit`.
    """
    if len(refs) > limit:
        raise SourceError(
            f"the repository has more than {limit} refs",
            code="source.too-large",
            hint="follow a branch or a tag by its name, or delete refs that nobody needs",
        )
    return list(refs)
