"""The macros that look at each item of a list, or at each key of a map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.core.cel.errors import EvaluationError, TooCostlyError
from shared.core.cel.values import Scope, truth, type_name

Run = Callable[[Scope], Any]


def _each(over: Run, slot: str, scope: Scope) -> Iterator[Any]:
    """Yield the items, each of them in its slot while it is looked at."""
    found = over(scope)
    if not isinstance(found, list | tuple | Mapping):
        raise EvaluationError(f"a list or a map is needed, not {type_name(found)}")
    for item in found:
        scope.spend()
        scope.names[slot] = item
        yield item


def _quantifier(*, decisive: bool) -> Callable[[Run, str, tuple[Run, ...]], Run]:
    """Return `exists` (decided by the first true) or `all` (by the first false); that one outweighs items that fail."""

    def macro(over: Run, slot: str, body: tuple[Run, ...]) -> Run:
        def look(scope: Scope) -> bool:
            failure: EvaluationError | None = None
            for _ in _each(over, slot, scope):
                try:
                    if truth(body[0](scope)) is decisive:
                        return decisive
                except TooCostlyError:
                    raise
                except EvaluationError as error:
                    failure = failure or error
            if failure is not None:
                raise failure
            return not decisive

        return look

    return macro


def _exists_one(over: Run, slot: str, body: tuple[Run, ...]) -> Run:
    return lambda scope: sum(truth(body[0](scope)) for _ in _each(over, slot, scope)) == 1


def _filter(over: Run, slot: str, body: tuple[Run, ...]) -> Run:
    return lambda scope: [item for item in _each(over, slot, scope) if truth(body[0](scope))]


def _map(over: Run, slot: str, body: tuple[Run, ...]) -> Run:
    *condition, transform = body
    return lambda scope: [
        transform(scope) for _ in _each(over, slot, scope) if all(truth(each(scope)) for each in condition)
    ]


MACROS: Mapping[str, Callable[[Run, str, tuple[Run, ...]], Run]] = {
    "all": _quantifier(decisive=False),
    "exists": _quantifier(decisive=True),
    "exists_one": _exists_one,
    "existsOne": _exists_one,
    "filter": _filter,
    "map": _map,
}
