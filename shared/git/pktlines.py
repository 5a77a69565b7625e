"""Git's smart protocol as far as listing refs goes: versions 0 and 2, values in, values out.

Source: gitprotocol-pack(5), gitprotocol-v2(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from shared.git.remote import RemoteRef, SourceError

SERVICE = b"# service=git-upload-pack"
_ID = re.compile(rb"[0-9a-f]{40}")
_PEELED = b"^{}"


def pkt_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of `data` without their line ends; flush and delimiter packets are left out.

    Raises:
        SourceError: these are no pkt-lines, or the server reports an error.
    """
    position = 0
    while position < len(data):
        try:
            size = int(data[position : position + 4], 16)
        except ValueError as error:
            raise _not_git() from error
        if size in {0, 1, 2}:
            position += 4
            continue
        line = data[position + 4 : position + size].rstrip(b"\n")
        if size < 4 or position + size > len(data):
            raise _not_git()
        if line.startswith(b"ERR "):
            raise SourceError(f"the git server answers: {_text(line[4:])}", code="source.not-found")
        yield line
        position += size


def is_version_2(lines: Iterable[bytes]) -> bool:
    """Tell whether an advertisement offers commands, in place of naming refs."""
    return b"version 2" in lines


def check_object_format(lines: Iterable[bytes]) -> None:
    """Refuse a server whose objects have other ids than those that everything behind the poller reads.

    Raises:
        SourceError: it says so.
    """
    for line in lines:
        for word in re.split(rb"[\0 \n]", line):
            if word.startswith(b"object-format=") and word != b"object-format=sha1":
                raise other_format()


def ls_refs_request(prefixes: Iterable[str]) -> bytes:
    """Return the request of version 2 for the refs that begin with one of `prefixes`."""
    arguments = [b"peel", b"symrefs", *(f"ref-prefix {prefix}".encode() for prefix in prefixes)]
    return _pkt(b"command=ls-refs") + b"0001" + b"".join(_pkt(argument) for argument in arguments) + b"0000"


def refs_of_version_2(lines: Iterable[bytes]) -> list[RemoteRef]:
    """Return the refs of an answer to `ls_refs_request`: `<id> <name> [symref-target:<name>] [peeled:<id>]`."""
    found = []
    for line in lines:
        object_id, name, *attributes = line.split(b" ")
        if object_id == b"unborn":
            continue
        known = dict(attribute.partition(b":")[::2] for attribute in attributes)
        found.append(_ref(object_id, name, known.get(b"peeled", b""), known.get(b"symref-target", b"")))
    return found


def refs_of_version_0(lines: Iterable[bytes]) -> list[RemoteRef]:
    """Return the refs of an advertisement: `<id> <name>`, capabilities after the first, `^{}` marks what a tag means."""
    found: dict[bytes, tuple[bytes, bytes]] = {}
    symrefs: dict[bytes, bytes] = {}
    for line in lines:
        if line == SERVICE:
            continue
        ref, _, capabilities = line.partition(b"\0")
        for capability in capabilities.split(b" "):
            if capability.startswith(b"symref="):
                name, _, target = capability.removeprefix(b"symref=").partition(b":")
                symrefs[name] = target
        object_id, _, name = ref.partition(b" ")
        if name.endswith(_PEELED):
            name = name.removesuffix(_PEELED)
            if name in found:
                found[name] = (found[name][0], object_id)
        else:
            found[name] = (object_id, b"")
    return [_ref(ids[0], name, ids[1], symrefs.get(name, b"")) for name, ids in found.items()]


def _ref(object_id: bytes, name: bytes, peeled: bytes, symref: bytes) -> RemoteRef:
    if not _ID.fullmatch(object_id) or (peeled and not _ID.fullmatch(peeled)):
        raise other_format()
    return RemoteRef(_text(name), object_id.decode(), peeled.decode(), _text(symref))


def _pkt(content: bytes) -> bytes:
    return b"%04x%s\n" % (len(content) + 5, content)


def _text(raw: bytes) -> str:
    """Return text of a server; what is no UTF-8 becomes marks that match no ref that anybody asks for."""
    return raw.decode(errors="replace")


def _not_git() -> SourceError:
    return SourceError(
        "the server's answer is not git's smart protocol",
        code="source.protocol",
        hint="check the URL: it must be the one that git clone takes",
    )


def other_format() -> SourceError:
    """Return what is wrong with a repository whose ids are no SHA-1."""
    return SourceError(
        "the repository's object ids are not SHA-1",
        code="source.protocol",
        hint="repositories in SHA-256 format are not supported",
    )
