"""Archives of charts as somebody may pack them: the same bytes each time, members as they are given, whatever they say."""

import gzip
import io
import tarfile


def archive(files, *entries):
    """Pack files by path, text or bytes, and entries without content behind them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as target:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            content = text if isinstance(text, bytes) else text.encode()
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
        for entry in entries:
            target.addfile(entry)
    return gzip.compress(packed.getvalue(), mtime=0)


def link(name, target, kind=tarfile.SYMTYPE):
    """Return the entry of a link."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry
