"""`towline cluster`: clusters join, get labels, and leave."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.hubs import CommandError, Where, asked
from services.cli.output import pairs_of, plain, say, seconds_of

Labels = Annotated[tuple[str, ...], Parameter(name=["--label", "-l"])]


def add(
    name: str,
    /,
    *,
    label: Labels = (),
    like: str = "",
    ttl: str = "1h",
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
    where: Where | None = None,
) -> int:
    """Register a cluster and print the token by which its agent joins once.

    Args:
        name: How the cluster is called; as in the fleet's clusters/ if it stands there.
        label: key=value; git wins over what is said here.
        like: Take over the labels that this cluster has from the hub.
        ttl: How long the token is good; 1h by default.
        output: How to print; text is the token alone.
        where: Which hub.
    """
    body = {"name": name, "labels": pairs_of(label), "like": like, "ttl_s": int(seconds_of(ttl))}
    made = asked(where, lambda hub: hub.post("/api/v1/clusters", body))
    print(json.dumps(made) if output == "json" else made["token"])
    return 0


def labels(name: str, /, *changes: str, where: Where | None = None) -> int:
    """Set labels that the hub gives a cluster, or take them away.

    Args:
        name: The cluster.
        changes: key=value sets, key- takes away.
        where: Which hub.
    """
    removed = [change[:-1] for change in changes if change.endswith("-") and "=" not in change]
    kept = pairs_of([change for change in changes if not (change.endswith("-") and "=" not in change)])
    if not changes:
        raise CommandError("no label is given", code="cli.label", hint="write key=value to set, key- to take away")
    _command(where, "cluster-labels", {"cluster": name, "set": kept, "remove": removed})
    return 0


def approve(name: str, /, *claims: str, where: Where | None = None) -> int:
    """Accept the labels that a cluster claims for itself.

    Args:
        name: The cluster.
        claims: key=value, as they were seen; without any, all that are pending now.
        where: Which hub.
    """
    seen = pairs_of(claims) or _pending(where, name)
    _command(where, "cluster-approve", {"cluster": name, "claims": seen})
    return 0


def _pending(where: Where | None, name: str) -> dict[str, str]:
    pending: dict[str, str] = asked(where, lambda hub: hub.get(f"/api/v1/clusters/{name}"))["pending_claims"]
    if pending:
        say("approving " + plain(", ".join(f"{key}={value}" for key, value in sorted(pending.items()))))
    return pending


def revoke(name: str, /, *, reason: str = "", where: Where | None = None) -> int:
    """Cut a cluster's agent off; what runs there goes on running.

    Args:
        name: The cluster.
        reason: Why; it is stored.
        where: Which hub.
    """
    _command(where, "cluster-revoke", {"cluster": name}, reason)
    return 0


def remove(
    name: str,
    /,
    *,
    prune: Annotated[bool, Parameter(negative="")] = False,
    keep: Annotated[bool, Parameter(negative="")] = False,
    reason: str = "",
    where: Where | None = None,
) -> int:
    """Take a cluster out of the hub.

    Args:
        name: The cluster.
        prune: Delete there what Towline made; its agent must be online.
        keep: Leave everything there as it is.
        reason: Why; it is stored.
        where: Which hub.
    """
    if prune == keep:
        raise CommandError("say what shall become of what runs there", code="cli.choice", hint="give --prune or --keep")
    _command(where, "cluster-remove", {"cluster": name, "prune": prune}, reason)
    return 0


def _command(where: Where | None, verb: str, arguments: dict[str, Any], reason: str = "") -> None:
    result = asked(where, lambda hub: hub.command("releaser", verb, arguments, reason))
    print(plain(result["message"]) or f"{arguments['cluster']}: {verb} done")
