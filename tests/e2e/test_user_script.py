"""The line as a user's script sees it: child processes only, a push over HTTP, and what the commands promise."""

import json
import signal

import pytest
import yaml

from tests.support.script import Checkout, scripted, towline, until

GREETING = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: greeting}}\ndata: {{text: {text}}}\n"
NAMES = ["sim-0001", "sim-0002", "sim-0003"]
TARGET = "cluster app revision bundle generation sync health conditions counts applied_at message"


@pytest.fixture
def script(tmp_path):
    with scripted(tmp_path) as made:
        yield made


@pytest.fixture
def fleet(git_server, tmp_path):
    """A clone of an empty repository that a git server serves over HTTP."""
    git_server.open("fleet")
    made = Checkout(tmp_path / "checkout", git_server.url("fleet"))
    made.url = git_server.url("fleet")
    return made


def greeting(text):
    return {"greeting.yaml": GREETING.format(text=text)}


def start(script, fleet, count):
    script.start_clusters(count)
    script.start_hub(f"fleet={fleet.url}#main")
    for name in NAMES[:count]:
        script.join(name, "-l", "env=prod")
    script.connected(count)


def test_a_script_pushes_waits_and_sees_what_runs(script, fleet):
    fleet.push(greeting("hello"))
    start(script, fleet, 3)
    commit = fleet.push(greeting("goodbye"), subject="Say goodbye")
    waited = script.ask("wait", "--commit", commit, "--for", "healthy", "-o", "json")

    assert (waited.code, waited.json["state"], waited.json["reached"]) == (0, "done", 3)
    assert [script.text(name) for name in NAMES] == ["goodbye"] * 3
    ready = json.loads((script.data / "hub.json").read_text())
    assert set(ready) == {"pid", "http", "bus", "ready_at"}
    assert ready["pid"] == script.hub.process.pid
    assert (script.data / "admin.token").stat().st_mode & 0o777 == 0o600
    _lists_are_as_promised(script, commit)
    _a_second_hub_is_refused(script)
    assert script.hub.stop() == 0
    assert not (script.data / "hub.json").exists()


def _lists_are_as_promised(script, commit):
    found = {}
    for kind in ("clusters", "apps", "targets", "revisions", "releases", "events"):
        listing = script.ask("get", kind, "-o", "json")
        assert (listing.code, listing.err) == (0, "")
        assert (listing.json["apiVersion"], listing.json["kind"]) == (
            "towline.dev/v1",
            f"{kind[:-1].capitalize()}List",
        )
        found[kind] = listing.json["items"]
    assert [each["name"] for each in found["clusters"]] == NAMES
    target = found["targets"][0]
    assert set(TARGET.split()) <= set(target)
    assert set(target["counts"]) >= {"objects", "created", "patched", "pruned", "failed"}
    assert {"source": "fleet", "commit": commit} == {name: target["revision"][name] for name in ("source", "commit")}
    assert (target["sync"], target["health"], target["counts"]["failed"]) == ("Synced", "Current", 0)
    assert found["revisions"][0]["subject"] == "Say goodbye"
    assert yaml.safe_load(script.ask("get", "releases", "-o", "yaml").out)["items"] == found["releases"]
    assert script.ask("get", "clusters", "-o", "name").out.split() == [f"cluster/{name}" for name in NAMES]
    wide = script.ask("get", "targets", "-o", "wide").out.splitlines()
    assert wide[0].split()[:2] == ["CLUSTER", "APP"]
    assert len(wide) == 4
    assert script.ask("approve", "--list", "-o", "json").json["items"] == []


def _a_second_hub_is_refused(script):
    second = towline("hub", "run", "--data", script.data, "--listen", "127.0.0.1:0")

    assert second.code == 2
    assert str(script.data) in second.err
    assert str(script.hub.process.pid) in second.err


@pytest.mark.slow
def test_a_cluster_joins_once_stays_itself_and_has_one_agent(script, fleet):
    """A token is good once; the identity outlives the agent; a second agent waits."""
    commit = fleet.push(greeting("hello"))
    start(script, fleet, 1)
    assert script.ask("wait", "--commit", commit).code == 0
    token = script.folder / "sim-0001.token"
    again = towline("agent", "run", "--join-file", token, *_of("sim-0001", script, "elsewhere"))

    assert again.code == 2
    assert "token" in again.err

    script.start_agent("sim-0001", called="second")
    second = script.agents["second"]
    until(lambda: "standby_started" in second.err(), second.err)
    assert script.agents["sim-0001"].stop() == 0
    script.kubectl("sim-0001", "patch", "configmap", "greeting", "-p", '{"data": {"text": "by hand"}}')
    until(lambda: script.text("sim-0001") == "hello", "the standby takes over, and heals")


def _of(cluster, script, data):
    return ("--kubeconfig", script.folder / "sim" / f"{cluster}.kubeconfig", "--data", script.folder / data)


@pytest.mark.slow
def test_suspended_is_left_alone_until_it_is_resumed(script, fleet):
    commit = fleet.push(greeting("hello"))
    start(script, fleet, 1)
    script.ask("wait", "--commit", commit)
    app = script.ask("get", "apps", "-o", "name").out.strip()
    suspended = script.ask("suspend", app, "--reason", "incident 42")
    until(lambda: _sync(script) == "Suspended", "suspended")
    script.kubectl("sim-0001", "patch", "configmap", "greeting", "-p", '{"data": {"text": "by hand"}}')
    later = fleet.push(greeting("later"))
    released = script.ask("wait", "--commit", later, "--for", "rendered")

    assert (suspended.code, released.code) == (0, 0)
    assert script.text("sim-0001") == "by hand"
    assert "incident 42" in script.ask("get", "targets", "-o", "json").out

    assert script.ask("resume", app).code == 0
    assert script.ask("sync", "fleet").code == 0
    assert script.ask("wait", "--commit", later).code == 0
    assert script.text("sim-0001") == "later"

    revoked = script.ask("cluster", "revoke", "sim-0001", "--reason", "key leaked")
    agent = script.agents["sim-0001"]
    until(lambda: script.ask("get", "cluster", "sim-0001", "-o", "json").json["items"][0]["state"] == "revoked", "cut")
    assert revoked.code == 0
    assert script.text("sim-0001") == "later"
    assert agent.stop() in {0, 2}


def _sync(script):
    return script.ask("get", "targets", "-o", "json").json["items"][0]["sync"]


@pytest.mark.slow
def test_followed_events_outlive_a_restart_of_the_hub(script, fleet):
    fleet.push(greeting("hello"))
    start(script, fleet, 1)
    port = json.loads((script.data / "hub.json").read_text())["http"].rpartition(":")[2]
    following = script.start("events", "events", "-w", "-o", "json", "--data", script.data)
    commits = [fleet.push(greeting("one"))]
    script.ask("wait", "--commit", commits[0])
    script.hub.stop()
    script.hub.arguments = tuple(
        "127.0.0.1:" + port if each == "127.0.0.1:0" else each for each in script.hub.arguments
    )
    script.hub.start()
    script.hub_ready()
    commits.append(fleet.push(greeting("two")))
    script.ask("wait", "--commit", commits[1])
    everything = script.ask("events", "-o", "json", "--limit", "1000").out.splitlines()
    last = json.loads(everything[-1])["id"]
    until(lambda: f'"id": "{last}"' in following.out(), following.err)
    followed = [int(json.loads(each)["id"]) for each in following.out().splitlines()]

    assert followed == list(range(followed[0], followed[0] + len(followed)))
    assert all(commit in following.out() for commit in commits)
    assert following.stop(signal.SIGINT) == 130
