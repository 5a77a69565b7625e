"""Answer questions about an object in a subset of CEL, Kubernetes' expression language: no I/O, no clock, bounded cost.

Ours, because the libraries at hand need more memory than an agent has, or a millisecond an expression. What runs here
means the same in CEL. Left out: regular expressions (`matches`), times and durations, types and protocol buffers.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from shared.core.cel.compile import closure
from shared.core.cel.errors import EvaluationError, ExpressionError, TooCostlyError, place
from shared.core.cel.functions import Function
from shared.core.cel.values import Scope

MAX_STEPS = 10_000
"""Of one evaluation: about 50 ms where it is slow."""

__all__ = ["EvaluationError", "Expression", "ExpressionError", "Function", "Scope", "TooCostlyError"]


class Expression:
    """One expression, read and checked."""

    __slots__ = ("_run", "text")

    def __init__(self, text: str, names: AbstractSet[str], functions: Mapping[str, Function] | None = None) -> None:
        """Read an expression over these variables, with these functions besides the usual ones.

        Raises:
            ExpressionError: it cannot be read, or names what does not exist.
        """
        self.text = text
        self._run = closure(text, names, functions or {})

    def value(self, variables: Mapping[str, Any], max_steps: int = MAX_STEPS) -> Any:
        """Return the expression's value.

        Raises:
            EvaluationError: it has none.
        """
        try:
            return self._run(Scope(dict(variables), max_steps))
        except EvaluationError as error:
            where = f" ({place(self.text, error.at)})" if error.at is not None else ""
            raise type(error)(f"{error}{where}", error.at) from None
        except RecursionError:
            raise TooCostlyError("it compares what is nested too deeply") from None
