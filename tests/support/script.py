"""What a user's script does: nothing but commands, each a process of its own, and what they print."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
KUBECTL = Path(sys.prefix) / "bin" / "kubectl"
DEADLINE_S = 90
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def environment(**more):
    """Return the environment of a user who has nothing configured, and a poller that looks often."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOWLINE_", "GIT_"))}
    return {
        **kept,
        "PYTHONPATH": str(PROJECT),
        "NO_COLOR": "1",
        "TOWLINE_CONFIG": os.devnull,
        "TOWLINE_POLLER_INTERVAL_S": "0.3",
        **more,
    }


def towline(*arguments, cwd=None, **more):
    """Run `towline` to its end; no command may ever print a traceback."""
    command = [sys.executable, "-m", "services.cli", *map(str, arguments)]
    made = subprocess.run(
        command, env=environment(**more), cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert "Traceback" not in made.stderr, made.stderr
    return Ended(made.returncode, made.stdout, made.stderr)


@dataclass
class Running:
    """A command that runs until it is stopped; its output is in files."""

    arguments: tuple
    folder: Path
    process: subprocess.Popen | None = None

    def start(self):
        command = [sys.executable, "-m", "services.cli", *map(str, self.arguments)]
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(command, env=environment(), stdout=out, stderr=err, cwd=self.folder)
        return self

    def out(self):
        return (self.folder / "out").read_text()

    def err(self):
        return (self.folder / "err").read_text()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{self.arguments[:2]} did not stop: {self.err()[-2000:]}")


def until(check, what):
    """Return the first true answer of `check`."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(LOOK_S)
    pytest.fail(f"not within {DEADLINE_S} s: {what() if callable(what) else what}")


@dataclass
class Script:
    """A user's folder, and what the user started in it."""

    folder: Path
    running: ExitStack
    agents: dict[str, Running] = field(default_factory=dict)
    hub: Running | None = None

    @property
    def data(self):
        return self.folder / "hub"

    def start(self, name, *arguments):
        """Start a command that stays, and stop it at the end of the test."""
        folder = self.folder / "running" / name
        folder.mkdir(parents=True)
        started = Running(arguments, folder).start()
        self.running.callback(started.stop)
        return started

    def ask(self, *arguments):
        """Run a command that asks or steers the hub."""
        return towline(*arguments, "--data", self.data)

    def start_hub(self, *sources):
        named = [each for source in sources for each in ("--source", source)]
        self.hub = self.start("hub", "hub", "run", "--data", self.data, "--listen", "127.0.0.1:0", *named)
        self.hub_ready()

    def hub_ready(self):
        until(lambda: self._there(self.hub, self.data / "hub.json"), lambda: f"hub.json: {self.hub.err()[-2000:]}")

    def start_clusters(self, count):
        out = self.folder / "sim"
        simulated = self.start("kubesim", "kubesim", "run", "--clusters", count, "--out", out)
        until(lambda: self._there(simulated, out / "ready"), lambda: f"kubesim: {simulated.err()[-2000:]}")

    @staticmethod
    def _there(running, path):
        assert running.process.poll() is None, running.err()
        return path.exists()

    def join(self, name, *options):
        """Add a cluster, and run its agent, as the README does."""
        token = self.folder / f"{name}.token"
        token.write_text(self.ask("cluster", "add", name, *options).out)
        self.start_agent(name, "--join-file", token)

    def start_agent(self, name, *options, called=""):
        data = self.folder / "agents" / name
        how = ("--kubeconfig", self.folder / "sim" / f"{name}.kubeconfig", "--data", data, *options)
        self.agents[called or name] = self.start(f"agent-{called or name}", "agent", "run", *how)

    def connected(self, count):
        """Return when so many agents joined."""

        def there():
            return len(self.ask("get", "clusters", "--status", "state=connected", "-o", "json").json["items"]) == count

        until(there, lambda: f"{count} agents: {[each.err()[-500:] for each in self.agents.values()]}")

    def kubectl(self, cluster, *arguments):
        """Run the real kubectl against a cluster."""
        config = self.folder / "sim" / f"{cluster}.kubeconfig"
        command = [KUBECTL, "--kubeconfig", config, "--cache-dir", self.folder / "cache", *arguments]
        made = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        return Ended(made.returncode, made.stdout, made.stderr)

    def text(self, cluster):
        """Return what the greeting says on a cluster."""
        return self.kubectl(cluster, "get", "configmap", "greeting", "-o", "jsonpath={.data.text}").out


class Checkout:
    """A clone that pushes, as people have one."""

    def __init__(self, folder, url):
        self.folder = folder
        subprocess.run(["git", "clone", "-q", url, folder], env=self._env(), capture_output=True, check=True)

    @staticmethod
    def _env():
        who = {
            f"GIT_{role}_{part}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
        }
        return environment(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", **who)

    def push(self, files, subject="Change"):
        """Write, commit and push, and return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for words in (("add", "-A"), ("commit", "-q", "-m", subject), ("push", "-q", "origin", "HEAD:main")):
            subprocess.run(["git", *words], cwd=self.folder, env=self._env(), capture_output=True, check=True)
        made = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.folder, env=self._env(), capture_output=True, text=True, check=True
        )
        return made.stdout.strip()


@contextmanager
def scripted(folder):
    """Give a script in a folder; what it started ends with it, the last first."""
    with ExitStack() as running:
        yield Script(folder, running)
