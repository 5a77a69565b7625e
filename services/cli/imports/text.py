"""Write YAML for people: keys in the order given, lists indented, texts of several lines as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared.core.kubedump import text_node

_WIDTH = 120
KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
"""What a file of kustomize begins with."""


class _ForPeople(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # no anchors, whatever is shared
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # as its base says
        super().increase_indent(flow, False)


_ForPeople.add_representer(str, lambda dumper, text: text_node(dumper, text, block="\n" in text.rstrip("\n")))


def yaml_text(value: Mapping[str, Any], *notes: str) -> str:
    """Return a mapping as YAML that kubectl reads as it is, below `notes` as comments."""
    head = "".join(f"# {note}\n" for note in notes)
    return head + str(yaml.dump(dict(value), Dumper=_ForPeople, sort_keys=False, allow_unicode=True, width=_WIDTH))
