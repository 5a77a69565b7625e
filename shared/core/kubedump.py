"""Write YAML that kubectl reads back as the very values: what it would take for something else is quoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared.core.kubescalars import resolved


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # no anchors, whatever is shared
        return True


def text_node(dumper: yaml.SafeDumper | yaml.CSafeDumper, text: str, *, block: bool) -> yaml.ScalarNode:
    """Return a text as a scalar: in a block if asked, in quotes where kubectl takes it for something else (`y`, `1e3`)."""
    # The library takes quotes all the same for what a block cannot hold, such as control characters.
    style = "|" if block else None
    if text in {"<<", "="} or not isinstance(resolved(text), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, lambda dumper, text: text_node(dumper, text, block="\n" in text))


def dumped(value: Mapping[str, Any], *, width: int | None = None, sort_keys: bool = True) -> str:
    """Return a mapping as one YAML document without aliases, its texts of several lines in blocks."""
    text: str = yaml.dump(dict(value), Dumper=_Dumper, allow_unicode=True, width=width, sort_keys=sort_keys)
    return text
