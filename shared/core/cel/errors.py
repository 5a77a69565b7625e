"""What can be wrong with an expression: when it is read, and when it meets an object."""

from __future__ import annotations


class ExpressionError(ValueError):
    """An expression cannot be read; says where, and what stands there."""

    def __init__(self, problem: str, text: str, at: int) -> None:
        shown = text[at : at + 20].partition("\n")[0]
        super().__init__(f"{problem} ({place(text, at)}{f', at {shown!r}' if shown else ''})")


class EvaluationError(ValueError):
    """An expression has no value for this object: a field is missing, or a type does not fit."""

    def __init__(self, problem: str, at: int | None = None) -> None:
        super().__init__(problem)
        self.at = at
        """Offset of the part that has no value, as far as it is known."""


class TooCostlyError(EvaluationError):
    """An expression was stopped: it takes too many steps, or makes too long a text."""


def place(text: str, at: int) -> str:
    """Return where an offset is, in words."""
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    return f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
