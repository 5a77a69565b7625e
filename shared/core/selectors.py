"""Label selectors: which clusters a target, a stage or a project means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Selector = Mapping[str, str | Sequence[str]]


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Tell whether `labels` hold every key of `selector` with its value, or one of its values; empty matches all."""
    return all(
        labels.get(key) in ((wanted,) if isinstance(wanted, str) else wanted) for key, wanted in selector.items()
    )
