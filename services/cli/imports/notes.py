"""Collect what an import cannot take over: where it is written, why not, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.cli.imports.places import Path, Places
from services.cli.imports.shapes import HINT, misshapen
from shared.errors import Finding

Told = Callable[[Path, str, str], None]
"""Keeps what is left out of one object: the field, what it is about it, and the next step."""


class Notes:
    """Everything that was left out of one repository."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._found: dict[Finding, None] = {}

    def left_out(self, manifest: Mapping[str, Any], path: Path, message: str, hint: str) -> None:
        """Keep that a field of an object is not taken over; `message` goes on where the object's name ends."""
        self.add(self._places.left_out(manifest, path, message, hint))

    def is_shaped(self, manifest: Mapping[str, Any], shape: Mapping[str, Any]) -> bool:
        """Tell whether an object has the shape that its tool reads; one that has not is kept as left out."""
        wrong = next(misshapen(manifest, shape), None)
        if wrong is not None:
            field = ".".join(map(str, wrong))
            self.left_out(manifest, wrong, f"has another {field} than its tool takes", HINT)
        return wrong is None

    def add(self, finding: Finding) -> None:
        """Keep a finding, once."""
        self._found[finding] = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was kept, in order."""
        return tuple(self._found)
