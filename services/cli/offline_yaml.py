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
    style = "|" if "\n" in text and text.isprintable() else None
    if text in {"<<", "="} or not isinstance(resolved(text), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def manifest_text(manifest: Manifest) -> str:
    """Return one object as a YAML document."""
    text: str = yaml.dump(dict(manifest), Dumper=_Dumper, allow_unicode=True, width=4096)
    return text
