"""Say which extra brings what a command needs, before an import fails."""

from __future__ import annotations

import importlib.util

from services.cli.hubs import CommandError

_HUB = ("nats", "sqlalchemy", "pygit2")
_AGENT = ("nats", "kubernetes_asyncio")
# Packages that tell whether an extra is installed.
_PACKAGES = {"hub": _HUB, "agent": _AGENT, "demo": (*_HUB, *_AGENT)}


def need(extra: str) -> None:
    """Return when an extra is installed.

    Raises:
        CommandError: it is not.
    """
    missing = [name for name in dict.fromkeys(_PACKAGES[extra]) if importlib.util.find_spec(name) is None]
    if missing:
        hint = f"pip install 'towline[{extra}]'"
        raise CommandError(f"this command needs {', '.join(missing)}", code="cli.extra", hint=hint)
