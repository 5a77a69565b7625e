"""Write JSON so that a reader of YAML finds the same in it: the API server reads the body of an apply as YAML.

YAML breaks lines at characters that JSON lets stand in texts, and folds such a break into a space; others it refuses.
"""

from __future__ import annotations

import re

_OTHERWISE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef(?:\xbb\xbf|\xbf[\xbe\xbf])")


def as_yaml(body: bytes | None) -> bytes | None:
    """Return canonical JSON with these characters as escapes, which both read alike."""
    if body is None or (body.isascii() and b"\x7f" not in body):
        return body
    return _OTHERWISE.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)
