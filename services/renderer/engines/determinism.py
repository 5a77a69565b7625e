"""Say which functions of a chart's templates may give something else at each render, and which of them did it.

Besides random values and the time these are `keys` and `values`, which give a map's parts in an order that Go chooses anew
each time [measured].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_RANDOM = (
    r"rand(?:Alpha|AlphaNum|Numeric|Ascii|Bytes|Int)|shuffle|uuidv4"
    r"|gen(?:CA|CAWithKey|PrivateKey|SelfSignedCert(?:WithKey)?|SignedCert(?:WithKey)?)|htpasswd|bcrypt|encryptAES"
)
_TIME = r"now|ago|date(?:_in_zone|InZone)?|html(?:D|d)ate(?:InZone)?"
_ORDER = r"keys|values"
_FUNCTION = re.compile(
    rf"""(?<![\w.$"'/-])(?:(?P<random>{_RANDOM})|(?P<time>{_TIME})|(?P<order>{_ORDER}))(?![\w.:/"'-])"""
)
_ACTION = re.compile(r"\{\{-?+\s*+(?!/\*)(.*?)\}\}", re.DOTALL)
_DEFINED = re.compile(r"""\{\{-?\s*(?:define|block)\s+["`]([^"`]+)["`]""")
_INCLUDED = re.compile(r"""(?<![\w.$"'-])(?:include|template)\s+["`]([^"`]+)["`]""")
_TPL = re.compile(r"(?<![\w.$\"'-])tpl(?![\w-])")
# What Helm renders no objects of; what is only read counts, since `tpl` and `Files` may bring it into templates.
_NO_PART = re.compile(r"(^|/)(templates/tests/|crds/)|(^|/)(NOTES\.txt|LICENSE|[^/]*\.md)$")


@dataclass(frozen=True, slots=True)
class Use:
    """A function that stands in a file."""

    function: str
    kind: str
    """`random`, `time` or `order`."""
    file: str
    line: int


def uses(files: Mapping[str, bytes]) -> list[Use]:
    """Return where functions stand whose result differs from render to render."""
    return [each for path, text in _texts(files) for each in _uses_in(path, text, text, 0)]


def culprits(changed: Iterable[str], files: Mapping[str, bytes]) -> list[Use]:
    """Return the functions that the templates `changed` use, directly or by templates that they include.

    Where these have none, or take texts of values for templates, all of the chart are returned.
    """
    texts = dict(_texts(files))
    bodies = {name: body for path, text in texts.items() for name, body in _defined(path, text)}
    found: list[Use] = []
    doubtful = False
    waiting = [(path, texts[path], texts[path], 0) for path in changed if path in texts]
    seen: set[str] = set()
    while waiting:
        path, text, whole, start = waiting.pop()
        found += _uses_in(path, text, whole, start)
        doubtful = doubtful or bool(_TPL.search(text))
        for name in _INCLUDED.findall(text):
            if name in bodies and name not in seen:
                seen.add(name)
                waiting.append(bodies[name])
    if doubtful or not found:
        found += [use for use in uses(files) if use not in found]
    return found


def _texts(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for path, content in files.items():
        if not _NO_PART.search(path) and b"{{" in content:
            yield path, content.decode(errors="replace")


def _uses_in(path: str, text: str, whole: str, start: int) -> Iterator[Use]:
    """Yield the uses in `text`, which begins at `start` of the `whole` file."""
    for action in _ACTION.finditer(text):
        for match in _FUNCTION.finditer(action[1]):
            line = whole.count("\n", 0, start + action.start(1) + match.start()) + 1
            yield Use(match[0], match.lastgroup or "", path, line)


def _defined(path: str, text: str) -> Iterator[tuple[str, tuple[str, str, str, int]]]:
    """Yield the named templates of a file: each goes as far as the next begins, which is near enough."""
    marks = list(_DEFINED.finditer(text))
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        yield mark[1], (path, text[mark.start() : end], text, mark.start())
