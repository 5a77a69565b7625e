"""Say the first of what pydantic has against something, without what was given: that may be long, or a secret."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return where it is, its steps between dots and nothing for the whole, and what it is."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ".".join(str(step) for step in first["loc"]), first["msg"]
