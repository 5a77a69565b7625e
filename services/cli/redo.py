"""`towline retry` and `recreate`: have agents do something again at once."""

from __future__ import annotations

from services.cli.hubs import Where, asked
from services.cli.output import plain
from services.cli.steer import app_place


def retry(name: str, /, *, reason: str = "", where: Where | None = None) -> int:
    """Have an app tried again at once where it failed.

    Args:
        name: APP or APP@CLUSTER.
        reason: Why; it is stored.
        where: Which hub.
    """
    return _ask(name, "retry", {}, reason, where)


def recreate(name: str, key: str, /, *, reason: str, where: Where | None = None) -> int:
    """Have one object of an app deleted and made anew on one cluster.

    Args:
        name: APP@CLUSTER or CLUSTER/APP.
        key: The object, as lists name it: apps/Deployment:web/web, or /ConfigMap:web/settings.
        reason: Why; it is stored.
        where: Which hub.
    """
    return _ask(name, "recreate", {"key": key}, reason, where)


def _ask(name: str, verb: str, arguments: dict[str, str], reason: str, where: Where | None) -> int:
    given = {**app_place(name), **arguments}
    found = asked(where, lambda hub: hub.command("releaser", verb, given, reason))
    print(plain(found["message"]))
    return 0
