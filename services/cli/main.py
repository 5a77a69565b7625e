"""The command `towline`: its commands by name, each loaded only when it is asked for."""

from __future__ import annotations

import sys

import cyclopts

from shared.errors import FindingsError, TowlineError

INTERRUPTED = 130


def _version() -> str:
    from importlib.metadata import version

    return version("towline")


app = cyclopts.App(
    name="towline",
    version=_version,
    help="Deliver Kubernetes manifests from git to many clusters, by pull.",
    # Markdown would cost help half of its time, and take `$(...)` and quotes of the examples for markup.
    help_format="plaintext",
    default_parameter=cyclopts.Parameter(show_default=False, negative_iterable=()),
    suppress_keyboard_interrupt=False,
)
hub = cyclopts.App(name="hub", help="Run and look after a hub.")
cluster = cyclopts.App(name="cluster", help="Let clusters join, label them, and let them go.")
agent = cyclopts.App(name="agent", help="Run the agent of a cluster.")
kubesim = cyclopts.App(name="kubesim", help="Simulate Kubernetes clusters.")
importing = cyclopts.App(name="import", help="Write a fleet from a repository for another tool.")

# Where a command stands, what it does, an example. The texts stand here so that help imports nothing.
_ASKING = (
    (
        "get:get",
        "Show clusters, apps, targets, revisions, releases, rollouts or events.",
        "get targets --status ready=false",
    ),
    ("get:describe", "Show all about one thing, and its last events.", "describe app/web --cluster prod-eu-01"),
    (
        "diff:diff",
        "Show what a change in git would change in the clusters, or an apply in one now.",
        "diff --base main -o markdown",
    ),
    (
        "wait:wait",
        "Wait until a commit, an app or a cluster came as far as wanted.",
        "wait --commit $(git rev-parse HEAD) --for healthy --timeout 10m",
    ),
    ("events:events", "Show what happened, and follow what happens.", "events -w --for app/web --types apply.failed"),
)
_STEERING = (
    (
        "steer:suspend",
        "Stop reconciling an app, a cluster or a target, on purpose.",
        'suspend app/web --cluster prod-eu-01 --reason "incident 42" --until 2h',
    ),
    ("steer:resume", "Follow git again: what was suspended, or taken back.", "resume app/web"),
    (
        "rollback:rollback",
        "Have an app run what it ran before, until git moves on.",
        'rollback web@prod-eu-01 --to 1a2b3c4d --reason "incident 42"',
    ),
    ("redo:retry", "Have an app tried again at once where it failed.", "retry web@prod-eu-01"),
    (
        "redo:recreate",
        "Have one object of an app deleted and made anew on one cluster.",
        'recreate web@prod-eu-01 apps/Deployment:web/web --reason "stuck"',
    ),
    ("steer:sync", "Look at git now, or have a cluster look again.", "sync fleet"),
    ("steer:approve", "Let go what waits for a person: deletions, claims, gates.", "approve prod-eu-01/web"),
)
_OFFLINE = (
    ("offline_init:init", "Begin a fleet in a folder, with schemas for editors.", "init fleet"),
    ("offline_init:schema", "Print the JSON Schema of one kind of file, for editors.", "schema app > app.json"),
    (
        "offline:render",
        "Print the objects that each cluster would get, without hub or cluster.",
        "render . --cluster prod-eu-01 -o json",
    ),
    ("offline:validate", "Name everything that is wrong with a fleet, at once.", "validate . -o github"),
    (
        "offline_targets:targets",
        "Show which cluster gets which app, of what it is made, and why another does not.",
        "targets . --app web",
    ),
    ("lock:lock", "Write down which archives the charts of chart repositories are.", "lock . --update"),
)
_RUNNING = (
    ("demo.command:demo", "Show the whole line on this machine with simulated clusters.", "demo --clusters 20"),
    ("running:run", "Run one program alone; its settings come from TOWLINE_... variables.", "run poller"),
)
_SHELL = (
    (
        "completion:completion",
        "Print the script that lets a shell complete commands and options.",
        "completion bash > ~/.local/share/bash-completion/completions/towline",
    ),
)
_HUB_RUNNING = (
    (
        "running:hub_run",
        "run",
        "Run a whole hub in this process.",
        "hub run --data ./hub --source fleet=https://git.example.org/fleet.git#main",
    ),
    (
        "running:hub_init",
        "init",
        "Make a hub's keys and credentials, and the streams of its bus.",
        "hub init --data ./hub --bus nats://127.0.0.1:4222 --watch",
    ),
    (
        "running:adopt",
        "adopt",
        "Let a hub whose database is older than its clusters' state go on, under a new epoch.",
        "hub adopt --data ./hub",
    ),
)
_AGENT = (
    (
        "running:agent_run",
        "run",
        "Run the agent of one cluster.",
        "agent run --join-file token --kubeconfig ~/.kube/config --data ./agent",
    ),
)
_KUBESIM = (
    (
        "running:kubesim_run",
        "run",
        "Run simulated clusters, and write a kubeconfig for each.",
        "kubesim run --out ./sim",
    ),
)
_HUB = (("steer:rebuild", "Have the hub make everything on the bus again.", "hub rebuild --data ./hub"),)
_CLUSTER = (
    (
        "cluster:add",
        "Register a cluster and print the token by which its agent joins once.",
        "cluster add prod-eu-01 -l env=prod -l region=eu",
    ),
    (
        "cluster:labels",
        "Set labels that the hub gives a cluster, or take them away.",
        "cluster labels prod-eu-01 region=eu canary-",
    ),
    (
        "cluster:approve",
        "Accept the labels that a cluster claims for itself.",
        "cluster approve prod-eu-01 env=prod",
    ),
    (
        "cluster:revoke",
        "Cut a cluster's agent off; what runs there goes on running.",
        'cluster revoke prod-eu-01 --reason "key leaked"',
    ),
    ("cluster:remove", "Take a cluster out of the hub.", "cluster remove prod-eu-01 --keep"),
)

_IMPORTING = (
    (
        "imports.command:flux",
        "Write a fleet from a repository for Flux, and prove that it gives the same objects.",
        "import flux ../gitops --out fleet",
    ),
    (
        "imports.command:argocd",
        "Write a fleet from a repository for Argo CD, and prove that it gives the same objects.",
        "import argocd ../gitops --cluster prod-eu-01,env=prod --out fleet",
    ),
    (
        "imports.command:fleet",
        "Write a fleet from a repository for Rancher's Fleet, and prove that it gives the same objects.",
        "import fleet ../gitops --cluster prod-eu-01,env=prod --out fleet",
    ),
)

for parent, commands in (
    (app, _ASKING),
    (app, _STEERING),
    (app, _OFFLINE),
    (app, _RUNNING),
    (app, _SHELL),
    (hub, _HUB),
    (cluster, _CLUSTER),
    (importing, _IMPORTING),
):
    for place, does, example in commands:
        parent.command(f"services.cli.{place}", help=does, help_epilogue=f"Example: towline {example}")
for parent, named in ((hub, _HUB_RUNNING), (agent, _AGENT), (kubesim, _KUBESIM)):
    for place, name, does, example in named:
        parent.command(f"services.cli.{place}", name=name, help=does, help_epilogue=f"Example: towline {example}")
for group in (hub, cluster, agent, kubesim, importing):
    app.command(group)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except FindingsError as error:
        for finding in error.findings:
            print(f"towline: {finding}", file=sys.stderr)
        sys.exit(2)
    except TowlineError as error:
        print(f"towline: {error} [{error.code}]", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` has.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # A folder that is a file, a disk that is full, a port that is taken: all are somebody's to change.
        place = f"{error.filename}: " if error.filename else ""
        print(f"towline: {place}{error.strerror or str(error) or type(error).__name__} [cli.file]", file=sys.stderr)
        sys.exit(2)
