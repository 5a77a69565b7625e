"""Write objects as YAML that kubectl reads back as the very objects."""

from __future__ import annotations

from shared.core.kubedump import dumped
from shared.core.objects import Manifest

_WIDTH = 4096


def manifest_text(manifest: Manifest) -> str:
    """Return one object as a YAML document."""
    # As people write them: what it is before what it says.
    first = {name: manifest[name] for name in ("apiVersion", "kind", "metadata") if name in manifest}
    return dumped({**first, **manifest}, width=_WIDTH, sort_keys=False)
