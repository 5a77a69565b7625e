"""Errors that people see: what failed, why, and the next step.

```
TowlineError            code, message, hint
├── TransientError      a retry may help
└── PermanentError      somebody must change something
    └── FindingsError   bad input, with every finding at once
```
Anything else that is raised is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class TowlineError(Exception):
    """The root of all errors that a user can cause or must know.

    Attributes:
        code: stable, `area.kebab-case`, listed in the documentation.
        message: object and reason, in one sentence.
        hint: the next step to take; empty where the message says it.
    """

    code = "towline.error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class TransientError(TowlineError):
    """The same attempt may succeed later."""

    code = "towline.transient"


class PermanentError(TowlineError):
    """The same attempt fails until somebody changes something."""

    code = "towline.permanent"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with what users wrote; line and column count from 1, 0 is unknown."""

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    cluster: str = ""
    app: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        """Return `file:line:column: message (hint) [code]`, leaving out what is unknown."""
        place = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)]) if self.file else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.message}{hint} [{self.code}]" if place else f"{self.message}{hint} [{self.code}]"

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that `render -o json` and the bus promise."""
        return {
            "cluster": self.cluster,
            "app": self.app,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "severity": self.severity,
        }


class FindingsError(PermanentError):
    """Input was read as far as possible, and these findings make it unusable."""

    code = "input.invalid"

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings), code=findings[0].code)
        self.findings = findings
