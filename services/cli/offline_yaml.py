"""Write objects as YAML that kubectl reads back as the very objects."""

from __future__ import annotations

from typing import Any

import yaml

from shared.core.kubescalars import resolved
from shared.core.objects import Manifest


class _Dumper(yaml.CSafeDumper):
    """Quotes every text that kubectl would take for something else, such as `y` and `1e3`."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # no anchors, whatever is shared
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # The library takes quotes all the same for what a block cannot hold, such as control characters.
    style = "|" if "\n" in text else None
    if text in {"<<", "="} or not isinstance(resolved(text), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def manifest_text(manifest: Manifest) -> str:
    """Return one object as a YAML document."""
    # As people write them: what it is before what it says.
    first = {name: manifest[name] for name in ("apiVersion", "kind", "metadata") if name in manifest}
    text: str = yaml.dump({**first, **manifest}, Dumper=_Dumper, allow_unicode=True, width=4096, sort_keys=False)
    return text
