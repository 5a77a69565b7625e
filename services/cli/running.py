"""The commands that run something: a hub, one program of it, an agent, simulated clusters."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from services.cli.extras import need
from services.cli.hubs import CommandError, Where, asked
from services.cli.output import pairs_of, plain, say

if TYPE_CHECKING:
    from services.applier.tenancy import LocalPolicy

_EXTRAS = {"poller": "hub", "renderer": "hub", "releaser": "hub", "auditor": "hub", "applier": "agent"}
Program = Literal["poller", "renderer", "releaser", "applier", "auditor"]
Name = Annotated[tuple[str, ...], Parameter(name="--source")]


def hub_run(
    *,
    data: Path,
    listen: str = "",
    hooks_listen: str = "",
    bus_listen: str = "",
    bus_cert: Path | None = None,
    bus_key: Path | None = None,
    source: Name = (),
    bus: str = "",
    config: Path | None = None,
    log: Literal["auto", "json", "console"] = "auto",
) -> int:
    """Run a whole hub in this process.

    Args:
        data: The folder of everything that it keeps.
        listen: Where API and page are served, 127.0.0.1:8080 by default; port 0 takes any.
        hooks_listen: HOST:PORT to take webhooks of git hosts on; their secrets stand in DATA/webhooks.json.
        bus_listen: HOST:PORT to open the bus to other machines; needs a certificate.
        bus_cert: The bus's certificate chain, in PEM.
        bus_key: The key of that certificate, in PEM.
        source: NAME=URL, or NAME=URL#REF; may be repeated.
        bus: URLs of a bus of your own, set up with `towline hub init`.
        config: A TOML file with the same settings, and more sources.
        log: How to log.
    """
    need("hub")
    from services.cli.hub_settings import Given, hub_options
    from services.cli.stopping import run_to_end

    given = Given(data, listen, hooks_listen, bus_listen, bus_cert, bus_key, source, bus, config)
    options = hub_options(given)
    _logs(log)
    from services.cli.hosting import host

    return run_to_end(host(options, lambda ready: say(f"hub is ready: {ready['http']} (data in {options.data})")))


def hub_init(
    *,
    data: Path,
    bus: str = "",
    watch: Annotated[bool, Parameter(negative="")] = False,
    log: Literal["auto", "json", "console"] = "auto",
) -> int:
    """Make a hub's keys and credentials, and the streams of its bus.

    Args:
        data: The hub's data folder.
        bus: URLs of the bus; without them only keys, credentials and a server's configuration are written.
        watch: Stay, and keep streams and consumers as they must be.
        log: How to log.
    """
    need("hub")
    from services.cli.hub_settings import servers
    from services.cli.initialising import initialise
    from services.cli.stopping import run_to_end

    urls = servers(bus)
    _logs(log)
    return run_to_end(initialise(data, urls, watch=watch))


def adopt(*, data: Path) -> int:
    """Let a hub whose database is older than its clusters' state go on, under a new epoch.

    Args:
        data: The hub's data folder.
    """
    result = asked(Where(data=data), lambda hub: hub.command("releaser", "adopt", {}))
    print(plain(result["message"]) or "adopted")
    return 0


def run(program: Program, /) -> int:
    """Run one program alone; its settings come from TOWLINE_... variables.

    Args:
        program: Which.
    """
    need(_EXTRAS[program])
    runpy.run_module(f"services.{program}", run_name="__main__")
    return 0


def agent_run(
    *,
    hub: str = "",
    join: str = "",
    join_file: Path | None = None,
    kubeconfig: Path | None = None,
    context: str = "",
    data: Path | None = None,
    claim: Annotated[tuple[str, ...], Parameter(name="--claim")] = (),
    policy: Path | None = None,
    sops_secret: str = "",
    log: Literal["auto", "json", "console"] = "auto",
) -> int:
    """Run the agent of one cluster.

    Args:
        hub: The hub's URL; a join token brings its own.
        join: The join token; needed until the agent has joined. Others can read it in the list of processes: prefer --join-file.
        join_file: The file that holds the join token.
        kubeconfig: How to reach the cluster; inside a cluster its service account is used.
        context: Of the kubeconfig; its current one by default.
        data: Where the agent keeps its identity; in the cluster by default.
        claim: key=value, a label that this cluster asks for.
        policy: A YAML file that says which apps may do what in this cluster.
        sops_secret: The Secret with the age and PGP keys for what SOPS encrypted, in the agent's namespace.
        log: How to log.
    """
    need("agent")
    from services.applier.memory import save_memory
    from services.applier.service import run_agent
    from services.applier.settings import ApplierSettings
    from services.cli.stopping import run_to_end, stopped_by_signals
    from shared.runtime.lifecycle import Lifecycle

    if join and join_file:
        raise CommandError("--join and --join-file are both given", code="cli.choice", hint="give one of them")
    settings = ApplierSettings(
        hub=hub.rstrip("/"),
        join=_token(join, join_file),
        kubeconfig=kubeconfig,
        context=context,
        data=data,
        claims=pairs_of(claim),
        policy=_policy(policy),
        sops_secret=sops_secret,
    )
    _logs(log)

    async def go() -> None:
        save_memory()
        life = Lifecycle()
        with stopped_by_signals(life):
            await run_agent(settings, life)

    return run_to_end(go())


def _policy(file: Path | None) -> LocalPolicy:
    from services.applier.local_policy import policy_of
    from services.applier.tenancy import LocalPolicy

    if file is None:
        return LocalPolicy()
    try:
        return policy_of(file.read_bytes(), str(file))
    except OSError as error:
        raise CommandError(f"the policy cannot be read from {file}: {error.strerror}", code="cli.file") from error


def _token(join: str, file: Path | None) -> str:
    if file is None:
        return join.strip()
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        # It is needed once; whoever deletes it afterwards does right.
        return ""
    except OSError as error:
        raise CommandError(f"the join token cannot be read from {file}: {error.strerror}", code="cli.file") from error


def kubesim_run(
    *, clusters: int = 3, out: Path, legacy: Annotated[bool, Parameter(negative="")] = False, port: int = 0
) -> int:
    """Run simulated clusters, and write a kubeconfig for each.

    Args:
        clusters: How many; 3 by default.
        out: The folder for NAME.kubeconfig, and the file `ready` at the end.
        legacy: Serve API versions of old clusters, too.
        port: Of all of them; 0 takes any.
    """
    if clusters < 1:
        raise CommandError(f"{clusters} clusters cannot be simulated", code="cli.choice", hint="give 1 or more")
    from services.cli.stopping import run_to_end, stopped_by_signals
    from services.kubesim.server import SimulatedClusters
    from shared.runtime.lifecycle import Lifecycle

    async def go() -> None:
        life = Lifecycle()
        async with SimulatedClusters(clusters, legacy=legacy, port=port) as simulated:
            with stopped_by_signals(life):
                _write_kubeconfigs(out, {each.name: each.kubeconfig() for each in simulated.clusters})
                _ready(out).write_text(json.dumps({"pid": os.getpid(), "url": simulated.url}) + "\n")
                say(f"{clusters} simulated clusters: {out}/*.kubeconfig")
                await life.stopping.wait()
                _ready(out).unlink(missing_ok=True)

    return run_to_end(go())


def _ready(out: Path) -> Path:
    return out / "ready"


def _write_kubeconfigs(out: Path, kubeconfigs: dict[str, str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, text in kubeconfigs.items():
        path = out / f"{name}.kubeconfig"
        path.touch(mode=0o600, exist_ok=True)
        path.write_text(text)


def _logs(form: Literal["auto", "json", "console"]) -> None:
    from shared.runtime.logs import LEVELS, configure_logging

    people = form == "console" or (form == "auto" and sys.stderr.isatty())
    level = os.environ.get("TOWLINE_LOG_LEVEL", "") or "info"
    if level not in LEVELS:
        raise CommandError(
            f"TOWLINE_LOG_LEVEL: {level!r} is no level", code="cli.config", hint=f"use one of {', '.join(LEVELS)}"
        )
    configure_logging("console" if people else "json", level)
