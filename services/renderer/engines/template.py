"""Fill in the Jinja templates of plain manifests, with what a cluster is called, labelled and valued."""

from __future__ import annotations

from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.core.canonical import decode
from shared.errors import Finding, FindingsError


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which what a mapping holds goes before what it can do: `cluster.values` is not a method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def filled(content: bytes, path: str, values: str) -> bytes:
    """Return the text of the template at `path`; `values` is canonical JSON of the names that it may use.

    Raises:
        FindingsError: it is no template, names something that is not there, or does what templates may not do.
    """
    # What it writes is YAML, not HTML: nothing is escaped.
    environment = _Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        template = environment.from_string(content.decode())
        return template.render(decode(values.encode())).encode()
    except UnicodeDecodeError as error:
        raise _refused("the template is not UTF-8", path, 0) from error
    except TemplateSyntaxError as error:
        raise _refused(f"the template cannot be read: {error.message}", path, error.lineno) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _refused(f"the template fails: {error}", path, _line(error)) from error


def _line(error: BaseException) -> int:
    """Return the template's line at which `error` arose: Jinja puts it into the traceback."""
    line, step = 0, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = step.tb_lineno
        step = step.tb_next
    return line


def _refused(message: str, path: str, line: int) -> FindingsError:
    hint = "cluster.name, cluster.labels and cluster.values are what a template may use"
    fields: dict[str, Any] = {"file": path, "line": line, "hint": hint}
    return FindingsError([Finding(code="render.template", message=message[:500], **fields)])
