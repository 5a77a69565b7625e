"""`towline init` and `towline schema`: a fleet to begin with, and what editors need to help with its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from services.cli.hubs import CommandError
from services.cli.output import say

SCHEMAS = ".schema"
_LINE = "# yaml-language-server: $schema={up}.schema/{name}.json\n"
_FLEET = """\
# What counts for the whole fleet. Clusters stand in clusters/, apps in apps/.
version: 1
rollouts:
  standard:
    stages:
      - {name: dev, match: {env: dev}}
      - {name: prod, match: {env: prod}, batch: 25%, maxFailures: 1}
defaults: {rollout: standard}
"""
_DEV = """\
# Clusters that never joined are expected: rendered for, and not waited for.
labels: {env: dev}
clusters:
  - {name: dev-1}
"""
_PROD = """\
labels: {env: prod}
clusters:
  - {name: prod-1}
"""
_APP = """\
# An app: plain YAML, a kustomization or a chart beside this file. `layers` bring what differs between clusters.
namespace: hello
layers: ["env/{env}"]
"""
_GREETING = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: greeting
data:
  text: Hello, %s.
"""
_FILES = {
    "fleet.yaml": ("fleet", _FLEET),
    "clusters/dev.yaml": ("clusters", _DEV),
    "clusters/prod.yaml": ("clusters", _PROD),
    "apps/hello/app.yaml": ("app", _APP),
    "apps/hello/greeting.yaml": ("", _GREETING % "whoever you are"),
    "apps/hello/env/prod/greeting.yaml": ("", _GREETING % "production"),
}
# What makes a folder without `fleet.yaml` one app, which it would no longer be.
_ONE_APP = ("kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml", "*.yaml", "*.yml")


def init(path: Path = Path(), /) -> int:
    """Begin a fleet in a folder: clusters, an app, a rollout, and schemas for editors. What is there stays as it is.

    In a folder that has a fleet it writes the schemas anew, and nothing else.

    Args:
        path: The folder; it is made when it is not there.
    """
    _refuse_one_app(path)
    begun = (path / "fleet.yaml").exists()
    made = [] if begun else [name for name in _FILES if _written(path / name, _text(name))]
    made += _schemas(path)
    for name in made:
        print(name)
    if not made:
        say("everything is there already")
    elif not begun:
        say(f"a fleet began in {path}: see what it does with `towline targets {path}`, then `towline render {path}`")
    return 0


def schema(name: Literal["fleet", "clusters", "app"], /) -> int:
    """Print the JSON Schema of one kind of file.

    Args:
        name: Of `fleet.yaml`, of the files in `clusters/`, or of `app.yaml`.
    """
    print(_schema_text(name), end="")
    return 0


def _refuse_one_app(path: Path) -> None:
    """Return when a `fleet.yaml` takes nothing away.

    Raises:
        CommandError: the folder is no folder, or it is one app today, and its files would no longer be read.
    """
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is no folder", code="cli.no-folder", hint="name a folder, or a place for a new one")
    if (path / "fleet.yaml").exists():
        return
    names = {each.name for pattern in _ONE_APP for each in path.glob(pattern)}
    found = sorted(name for name in names if not name.startswith("."))
    if found:
        text = f"{path} is one app today ({', '.join(found[:3])}); with a fleet.yaml only what is in apps/ counts"
        raise CommandError(text, code="cli.one-app", hint="move these files into apps/NAME, then try again")


def _text(name: str) -> str:
    kind, text = _FILES[name]
    return (_LINE.format(up="../" * name.count("/"), name=kind) if kind else "") + text


def _schemas(path: Path) -> list[str]:
    from shared.fleet.schemas import FILES

    names = {f"{SCHEMAS}/{name}.json": _schema_text(name) for name in FILES}
    return [name for name, text in names.items() if _written(path / name, text, anew=True)]


def _schema_text(name: str) -> str:
    from shared.fleet.schemas import schema_of

    return json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n"


def _written(file: Path, text: str, *, anew: bool = False) -> bool:
    """Write a file that is not there, or says something else than it should now; tell whether it was written."""
    if file.exists() and (not anew or file.read_text() == text):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return True
