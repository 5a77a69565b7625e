"""Turn an expression into Python closures, once; what can be found wrong without an object is found here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import Any, assert_never

from shared.core.cel.errors import EvaluationError, ExpressionError, TooCostlyError
from shared.core.cel.functions import FUNCTIONS, METHODS, Function
from shared.core.cel.macros import MACROS
from shared.core.cel.parse import parse
from shared.core.cel.syntax import Call, Choice, Index, ListOf, Literal, Logic, Macro, MapOf, Name, Node, Select
from shared.core.cel.values import (
    Maybe,
    Scope,
    arithmetic,
    compared,
    contained,
    equal,
    integer,
    is_number,
    truth,
    type_name,
)

Run = Callable[[Scope], Any]
Slots = Mapping[str, str]
"""Name of a variable → its key in `Scope.names`: a macro's variable has one of its own, however it is called."""


def closure(text: str, names: AbstractSet[str], functions: Mapping[str, Function]) -> Run:
    """Return an expression as a function of what an evaluation knows.

    Raises:
        ExpressionError: it cannot be read, or names what does not exist.
    """
    return _Compiler(text, {**FUNCTIONS, **functions}).run_of(parse(text), {name: name for name in names})


class _Compiler:
    def __init__(self, text: str, functions: Mapping[str, Function]) -> None:
        self._text = text
        self._functions = functions

    def run_of(self, node: Node, names: Slots) -> Run:
        """Return the closure of a part; whatever it raises says where."""
        run = self._bare(node, names)
        return run if isinstance(node, Literal | Name) else _placed(run, node.at)

    def _bare(self, node: Node, names: Slots) -> Run:  # noqa: C901, PLR0911 - one case a part of the language
        match node:
            case Literal(value):
                return lambda _: value
            case Name(name, at):
                self._known(name, names, "variable", at)
                slot = names[name]
                return lambda scope: scope.names[slot]
            case Select(of, name, _, optional):
                return _select(self.run_of(of, names), name, optional=optional)
            case Index(of, index, _, optional):
                return _index(self.run_of(of, names), self.run_of(index, names), optional=optional)
            case Logic(sign, terms):
                return _logic(tuple(self.run_of(term, names) for term in terms), decisive=sign == "||")
            case Choice(condition, then, otherwise):
                return _choice(*(self.run_of(each, names) for each in (condition, then, otherwise)))
            case Macro(name, over, variable, body, at):
                slot = f"{variable}@{at}"
                inner = tuple(self.run_of(each, {**names, variable: slot}) for each in body)
                return MACROS[name](self.run_of(over, names), slot, inner)
            case ListOf(items):
                runs = tuple(self.run_of(item, names) for item in items)
                return lambda scope: [run(scope) for run in runs]
            case MapOf(pairs):
                return _map(tuple((self.run_of(key, names), self.run_of(value, names)) for key, value in pairs))
            case Call():
                return self._call(node, names)
            case _:
                assert_never(node)

    def _call(self, call: Call, names: Slots) -> Run:
        if call.function == "has":
            field = call.arguments[0]
            assert isinstance(field, Select)  # noqa: S101 - the parser takes nothing else
            return _has(self.run_of(field.of, names), field.name)
        given = call.arguments if call.target is None else (call.target, *call.arguments)
        runs = tuple(self.run_of(each, names) for each in given)
        if operator := _OPERATORS.get(call.function):
            return operator(*runs)
        known = self._functions if call.target is None else METHODS
        self._known(call.function, known, "function" if call.target is None else "method", call.at)
        function = known[call.function]
        if not function.least <= len(runs) <= function.most:
            wanted = function.least - (call.target is not None)
            raise ExpressionError(
                f"{call.function}() takes {wanted} argument{'' if wanted == 1 else 's'}", self._text, call.at
            )
        return _called(function.run, runs)

    def _known(self, name: str, known: Mapping[str, object], what: str, at: int) -> None:
        if name in known:
            return
        meant = get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {meant[0]!r}?" if meant else f"; known: {', '.join(sorted(known))}"
        raise ExpressionError(f"there is no {what} {name!r}{hint}", self._text, at)


def _placed(run: Run, at: int) -> Run:
    def placed(scope: Scope) -> Any:
        try:
            return run(scope)
        except EvaluationError as error:
            if error.at is None:
                error.at = at
            raise

    return placed


def _called(function: Callable[..., Any], runs: tuple[Run, ...]) -> Run:
    def call(scope: Scope) -> Any:
        scope.spend()
        return function(scope, *[run(scope) for run in runs])

    return call


def _field(of: Any, name: Any, *, optional: bool) -> Any:
    """Return a field of a map, an item of a list, or either of an optional: then it is optional, too."""
    if isinstance(of, Maybe):
        return _field(of.value, name, optional=True) if of.present else of
    if isinstance(of, Mapping):
        if isinstance(name, str) and name in of:
            return Maybe(present=True, value=of[name]) if optional else of[name]
    elif isinstance(of, list | tuple) and isinstance(name, int) and not isinstance(name, bool):
        if 0 <= name < len(of):
            return Maybe(present=True, value=of[name]) if optional else of[name]
    elif not (optional and of is None):
        raise EvaluationError(f"{type_name(of)} has no field {name!r}")
    if optional:
        return Maybe()
    raise EvaluationError(f"no such key: {name!r}")


def _select(of: Run, name: str, *, optional: bool) -> Run:
    def select(scope: Scope) -> Any:
        scope.spend()
        return _field(of(scope), name, optional=optional)

    return select


def _index(of: Run, index: Run, *, optional: bool) -> Run:
    def item(scope: Scope) -> Any:
        scope.spend()
        return _field(of(scope), index(scope), optional=optional)

    return item


def _has(of: Run, name: str) -> Run:
    def has(scope: Scope) -> bool:
        scope.spend()
        owner = of(scope)
        if not isinstance(owner, Mapping | Maybe):
            raise EvaluationError(f"{type_name(owner)} has no field {name!r}")
        return bool(_field(owner, name, optional=True).present)

    return has


def _logic(terms: tuple[Run, ...], *, decisive: bool) -> Run:
    """Return `||` (decided by true) or `&&` (by false): a term that decides outweighs one that fails, on either side."""

    def logic(scope: Scope) -> bool:
        failure: EvaluationError | None = None
        for term in terms:
            try:
                if truth(term(scope)) is decisive:
                    return decisive
            except TooCostlyError:
                raise
            except EvaluationError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    return logic


def _choice(condition: Run, then: Run, otherwise: Run) -> Run:
    return lambda scope: then(scope) if truth(condition(scope)) else otherwise(scope)


def _map(pairs: tuple[tuple[Run, Run], ...]) -> Run:
    def make(scope: Scope) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_run, value in pairs:
            key = key_run(scope)
            if not isinstance(key, str) or key in made:
                raise EvaluationError(f"a key of a map must be a string, once, not {key!r}")
            made[key] = value(scope)
        return made

    return make


def _comparison(holds: Callable[[int], bool]) -> Callable[[Run, Run], Run]:
    return lambda one, other: lambda scope: holds(compared(one(scope), other(scope)))


def _arithmetic(sign: str) -> Callable[[Run, Run], Run]:
    def operator(one: Run, other: Run) -> Run:
        def calculate(scope: Scope) -> Any:
            scope.spend()
            return arithmetic(sign, one(scope), other(scope), scope)

        return calculate

    return operator


def _negative(value: Any) -> Any:
    if not is_number(value):
        raise EvaluationError(f"'-' does not take {type_name(value)}")
    return integer(-value) if isinstance(value, int) else -value


_OPERATORS: Mapping[str, Callable[..., Run]] = {
    "_==_": lambda one, other: lambda scope: equal(one(scope), other(scope), scope),
    "_!=_": lambda one, other: lambda scope: not equal(one(scope), other(scope), scope),
    "_in_": lambda one, other: lambda scope: contained(one(scope), other(scope), scope),
    "_<_": _comparison(lambda order: order < 0),
    "_<=_": _comparison(lambda order: order <= 0),
    "_>_": _comparison(lambda order: order > 0),
    "_>=_": _comparison(lambda order: order >= 0),
    "!_": lambda one: lambda scope: not truth(one(scope)),
    "-_": lambda one: lambda scope: _negative(one(scope)),
    **{f"_{sign}_": _arithmetic(sign) for sign in "+-*/%"},
}
