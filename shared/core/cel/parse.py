"""Read an expression by the grammar of CEL: the operators, macros and literals that questions about objects need."""

from __future__ import annotations

from shared.core.cel.errors import ExpressionError
from shared.core.cel.syntax import Call, Choice, Index, ListOf, Literal, Logic, Macro, MapOf, Name, Node, Select
from shared.core.cel.tokens import Sort, Token, tokens

MAX_DEPTH = 32
MAX_OPERANDS = 200
"""Of one chain like `a + b + c`: each is one call deeper when it is evaluated."""
MACROS = {"all": 1, "exists": 1, "exists_one": 1, "existsOne": 1, "filter": 1, "map": 2}
"""Name → how many expressions may follow the variable."""
_CHAINS = (("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
_RESERVED = {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
_RESERVED |= {"namespace", "return", "var", "void", "while"}


def parse(text: str) -> Node:
    """Return the parts of an expression.

    Raises:
        ExpressionError: it is no expression of this language.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._token.sort is not Sort.END:
            raise self._unexpected()
        return node

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH}", self._text, self._token.at)
        condition = self._logic("||")
        node = condition
        if token := self._taken("?"):
            then = self._logic("||")
            self._expect(":")
            node = Choice(condition, then, self._expression(), token.at)
        self._depth -= 1
        return node

    def _logic(self, sign: str) -> Node:
        """Read what `||` or `&&` join; `&&` binds closer."""
        at = self._token.at
        terms = [self._term(sign)]
        while self._taken(sign):
            terms.append(self._term(sign))
        return terms[0] if len(terms) == 1 else Logic(sign, tuple(terms), at)

    def _term(self, sign: str) -> Node:
        return self._logic("&&") if sign == "||" else self._chain(0)

    def _chain(self, level: int) -> Node:
        """Read operators of one precedence, from the left."""
        if level == len(_CHAINS):
            return self._unary()
        node = self._chain(level + 1)
        for _ in range(MAX_OPERANDS):
            token = self._taken(*_CHAINS[level])
            if token is None:
                return node
            node = Call(f"_{token.text}_", None, (node, self._chain(level + 1)), token.at)
        raise ExpressionError(f"more than {MAX_OPERANDS} operands", self._text, self._token.at)

    def _unary(self) -> Node:
        signs: list[Token] = []
        while token := self._taken("!", "-"):
            signs.append(token)
        if len(signs) > MAX_DEPTH:
            raise ExpressionError("too many signs", self._text, signs[0].at)
        node = self._member()
        for sign in reversed(signs):
            node = Call(f"{sign.text}_", None, (node,), sign.at)
        return node

    def _member(self) -> Node:
        node = self._primary()
        for _ in range(MAX_OPERANDS):
            token = self._taken(".", ".?", "[", "[?")
            if token is None:
                return node
            if token.text in {"[", "[?"}:
                node = Index(node, self._expression(), token.at, optional=token.text == "[?")
                self._expect("]")
            else:
                node = self._selected(node, token)
        raise ExpressionError(f"more than {MAX_OPERANDS} steps", self._text, self._token.at)

    def _selected(self, of: Node, dot: Token) -> Node:
        name = self._name()
        if dot.text == ".?" or not self._taken("("):
            return Select(of, name.text, name.at, optional=dot.text == ".?")
        arguments = self._arguments(")")
        if isinstance(of, Name) and of.name == "optional":
            return Call(f"optional.{name.text}", None, arguments, of.at)
        if name.text in MACROS and arguments:
            return self._macro(of, name, arguments)
        return Call(name.text, of, arguments, name.at)

    def _macro(self, over: Node, name: Token, arguments: tuple[Node, ...]) -> Node:
        variable, *body = arguments
        if not isinstance(variable, Name):
            raise ExpressionError(f"{name.text}(): the first argument must be a name", self._text, variable.at)
        if not 1 <= len(body) <= MACROS[name.text]:
            raise ExpressionError(f"{name.text}() takes a name and an expression", self._text, name.at)
        return Macro(name.text, over, variable.name, tuple(body), name.at)

    def _primary(self) -> Node:
        token = self._token
        self._next += 1
        if token.sort is Sort.VALUE:
            return Literal(token.value, token.at)
        if token.sort is Sort.NAME:
            return self._named(token)
        match token.text if token.sort is Sort.SIGN else "":
            case "(":
                node = self._expression()
                self._expect(")")
                return node
            case "[":
                return ListOf(self._arguments("]"), token.at)
            case "{":
                return self._map(token)
            case _:
                self._next -= 1
                raise self._unexpected()

    def _named(self, token: Token) -> Node:
        if token.text in _RESERVED:
            raise ExpressionError(f"{token.text!r} is a reserved word", self._text, token.at)
        if not self._taken("("):
            return Name(token.text, token.at)
        arguments = self._arguments(")")
        if token.text != "has":
            return Call(token.text, None, arguments, token.at)
        if len(arguments) != 1 or not isinstance(arguments[0], Select) or arguments[0].optional:
            raise ExpressionError("has() takes a field, like has(status.phase)", self._text, token.at)
        return Call("has", None, arguments, token.at)

    def _map(self, start: Token) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self._taken("}"):
            key = self._expression()
            self._expect(":")
            pairs.append((key, self._expression()))
            if not self._taken(","):
                self._expect("}")
                break
        return MapOf(tuple(pairs), start.at)

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._taken(closing):
            found.append(self._expression())
            if not self._taken(","):
                self._expect(closing)
                break
        return tuple(found)

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _taken(self, *signs: str) -> Token | None:
        token = self._token
        if token.sort is not Sort.SIGN or token.text not in signs:
            return None
        self._next += 1
        return token

    def _name(self) -> Token:
        token = self._token
        # Behind a dot every word is a field: `status.in` and `spec.true` exist.
        if token.sort is Sort.NAME or token.text in {"in", "true", "false", "null"}:
            self._next += 1
            return token
        raise ExpressionError("a field's name must follow the dot", self._text, token.at)

    def _expect(self, sign: str) -> None:
        if not self._taken(sign):
            raise self._unexpected(f", {sign!r} is missing")

    def _unexpected(self, more: str = "") -> ExpressionError:
        token = self._token
        problem = "it ends too early" if token.sort is Sort.END else f"unexpected {token.text!r}"
        return ExpressionError(f"{problem}{more}", self._text, token.at)
