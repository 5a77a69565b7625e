import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.auditor import facts, fold
from shared.core.status import Result, Sync
from tests.support import line_messages as line
from tests.support.auditor_app import TOKEN, serving

ROOT = Path(__file__).parents[2]
WEB = {("c1", "web"): "a", ("c2", "web"): "a"}


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path) as (client, parts, sent):
        (tmp_path / "hub.json").write_text(json.dumps({"pid": 1, "http": str(client.make_url("")), "bus": ""}))
        yield client, parts, sent


@asynccontextmanager
async def started(tmp_path, *arguments, **environment):
    """Give a running `towline`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TOWLINE_CONFIG": str(tmp_path / "none.toml"), "NO_COLOR": "1", **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()


async def run(tmp_path, *arguments, data=True, **environment):
    """Return (exit code, stdout, stderr) of `towline`."""
    where = ("--data", str(tmp_path)) if data else ()
    async with asyncio.timeout(30), started(tmp_path, *arguments, *where, **environment) as process:
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def a_fleet(store):
    rendered = line.rendered(1, WEB)
    await store.write(
        [
            *(fold.of_cluster(line.cluster(name)) for name in ("c1", "c2")),
            fold.of_revision(line.revision(1, subject="Say \x1b[31mhello")),
            fold.of_rendered(rendered, rendered.listing),
            facts.of_fact(line.released(1, WEB)),
            fold.of_report(line.report("c1", "web", 1), line.at(2)),
        ]
    )


async def test_json_is_a_list_as_the_contract_says(tmp_path, served):
    await a_fleet(served[1].store)

    code, out, _ = await run(tmp_path, "get", "targets", "-o", "json")

    listing = json.loads(out)
    assert code == 0
    assert (listing["apiVersion"], listing["kind"]) == ("towline.dev/v1", "TargetList")
    promised = "cluster app revision bundle generation sync health conditions counts applied_at message"
    assert set(promised.split()) <= set(listing["items"][0])


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("get", "targets", "-o", "name"), ["target/c1/web", "target/c2/web"]),
        (("get", "clusters", "-o", "name"), ["cluster/c1", "cluster/c2"]),
        (("get", "apps", "-o", "name"), ["app/web"]),
        (("get", "targets", "--status", "sync=Synced", "-o", "name"), ["target/c1/web"]),
        (("get", "target", "c2/web", "-o", "name"), ["target/c2/web"]),
        (("get", "commits", "-o", "name"), [f"revision/{line.commit_id(1)}"]),
        (("get", "releases", "-o", "name"), ["release/c2/web@1.1", "release/c1/web@1.1"]),
    ],
)
async def test_names_are_one_a_line(tmp_path, served, arguments, shown):
    await a_fleet(served[1].store)

    code, out, _ = await run(tmp_path, *arguments)

    assert (code, out.splitlines()) == (0, shown)


@pytest.mark.parametrize("kind", ["clusters", "apps", "targets", "revisions", "releases", "rollouts", "events"])
async def test_a_table_has_no_control_characters(tmp_path, served, kind):
    await a_fleet(served[1].store)

    code, out, err = await run(tmp_path, "get", kind, "-o", "wide")

    assert code == 0
    assert "\x1b" not in out + err
    assert out or "no rollouts found" in err


async def test_yaml_says_the_same_as_json(tmp_path, served):
    import yaml

    await a_fleet(served[1].store)
    _, as_yaml, _ = await run(tmp_path, "get", "clusters", "-o", "yaml")
    _, as_json, _ = await run(tmp_path, "get", "clusters", "-o", "json")

    assert yaml.safe_load(as_yaml) == json.loads(as_json)


async def test_describe_shows_a_target_and_its_events(tmp_path, served):
    await a_fleet(served[1].store)

    code, out, _ = await run(tmp_path, "describe", "app/web", "--cluster", "c1")

    assert code == 0
    assert "sync: Synced" in out
    assert "apply.succeeded" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("get", "clusters", "c9"), 3, "there is no cluster 'c9'"),
        (("get", "target", "web"), 2, "name it as cluster/app"),
        (("get", "clusters", "--status", "sync=Held"), 2, "clusters cannot be chosen by sync"),
        (("get", "planets"), 2, "planets"),
        (("wait", "--for", "applied"), 2, "nothing to wait for"),
        (("wait", "--app", "web", "--for", "shiny"), 2, "'shiny' is no stage"),
        (("wait", "--app", "web", "--timeout", "soon"), 2, "'soon' is no duration"),
        (("wait", "--app", "nope"), 3, "nothing is selected"),
        (("wait", "--commit", "abc"), 2, "too short"),
        (("wait", "--commit", "abcdef12", "--timeout", "1s"), 5, "commit abcdef12 was not seen yet"),
        (("approve", "c1/nope"), 3, "nothing named 'c1/nope' waits"),
        (("cluster", "remove", "c1"), 2, "give --prune or --keep"),
        (("cluster", "labels", "c1", "oops"), 2, "'oops' is no label"),
    ],
)
async def test_what_cannot_be_done_is_said_with_its_exit_code(tmp_path, served, arguments, code, said):
    found, out, err = await run(tmp_path, *arguments)

    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


async def test_a_wrong_token_is_exit_4(tmp_path, served):
    url = str(served[0].make_url(""))

    code, _, err = await run(tmp_path, "get", "apps", data=False, TOWLINE_HUB=url, TOWLINE_TOKEN="wrong")

    assert code == 4
    assert "admin.token" in err


async def test_the_environment_names_the_hub(tmp_path, served):
    url = str(served[0].make_url(""))

    code, _, err = await run(tmp_path, "get", "apps", data=False, TOWLINE_HUB=url, TOWLINE_TOKEN=TOKEN)

    assert (code, err) == (0, "no apps found\n")


async def test_a_context_names_the_hub(tmp_path, served):
    config = tmp_path / "config.toml"
    config.write_text(f'[contexts.test]\nhub = "{served[0].make_url("")}"\ntoken_file = "{tmp_path / "admin.token"}"\n')

    code, _, err = await run(tmp_path, "get", "apps", "--context", "test", data=False, TOWLINE_CONFIG=str(config))

    assert (code, err) == (0, "no apps found\n")


async def test_no_hub_says_how_to_start_one(tmp_path):
    code, _, err = await run(tmp_path, "get", "apps")

    assert code == 2
    assert f"towline hub run --data {tmp_path}" in err


async def test_a_hub_that_is_gone_is_one_sentence(tmp_path, unused_tcp_port):
    address = f"http://127.0.0.1:{unused_tcp_port}"

    code, _, err = await run(tmp_path, "get", "apps", data=False, TOWLINE_HUB=address)

    assert code == 2
    assert err.count("\n") == 1
    assert "does not answer" in err


async def test_wait_ends_once_the_last_target_is_there(tmp_path, served):
    store = served[1].store
    await a_fleet(store)
    arguments = ("wait", "--commit", line.commit_id(1)[:7], "--for", "released,healthy", "--data", str(tmp_path))

    async with asyncio.timeout(30), started(tmp_path, *arguments) as process:
        await store.write([fold.of_report(line.report("c2", "web", 1), line.at(3))])
        out, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    assert b"2 of 2 targets healthy" in out


async def test_wait_names_what_failed(tmp_path, served):
    store = served[1].store
    await a_fleet(store)
    failed = line.report("c2", "web", 1, result=Result.REFUSED, sync=Sync.OUT_OF_SYNC, message="namespace not allowed")
    await store.write([fold.of_report(failed, line.at(3))])

    code, out, err = await run(tmp_path, "wait", "--commit", line.commit_id(1))

    assert (code, out) == (1, "")
    assert "failed: c2/web: namespace not allowed" in err


async def answered(served, result=None, **data):
    """Answer the next command, and return it."""
    _, parts, sent = served
    _, command = await sent.next_command()
    found = {"ok": True, "result": result or {}, **data}
    done = line.fact("command-done", 9, command=command.id, data=found, message=data.get("code", ""))
    await parts.store.write([facts.of_fact(done)])
    parts.desk.answered(done)
    return command


async def commanded(tmp_path, served, *arguments, **data):
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(tmp_path, *arguments))
        answering = tasks.create_task(answered(served, **data))
    return running.result(), answering.result()


@pytest.mark.parametrize(
    ("arguments", "verb", "given"),
    [
        (("suspend", "app/web", "--reason", "r"), "suspend", {"app": "web", "cluster": "", "reason": "r"}),
        (("resume", "web@c1"), "resume", {"app": "web", "cluster": "c1"}),
        (("resume", "cluster/c1"), "resume", {"app": "", "cluster": "c1"}),
        (("sync",), "sync", {}),
        (("sync", "fleet"), "sync", {"source": "fleet"}),
        (("sync", "--cluster", "c1"), "sync", {"cluster": "c1", "app": ""}),
        (
            ("cluster", "labels", "c1", "a=b", "x-"),
            "cluster-labels",
            {"cluster": "c1", "set": {"a": "b"}, "remove": ["x"]},
        ),
        (("cluster", "revoke", "c1"), "cluster-revoke", {"cluster": "c1"}),
        (("cluster", "remove", "c1", "--keep"), "cluster-remove", {"cluster": "c1", "prune": False}),
        (("cluster", "approve", "c1", "env=prod"), "cluster-approve", {"cluster": "c1", "claims": {"env": "prod"}}),
    ],
)
async def test_steering_sends_one_command_and_prints_its_answer(tmp_path, served, arguments, verb, given):
    (code, out, _), command = await commanded(tmp_path, served, *arguments)

    assert (command.verb, command.arguments) == (verb, given)
    assert (code, out != "") == (0, True)


async def test_a_command_that_failed_is_exit_2_with_its_code(tmp_path, served):
    (code, out, err), _ = await commanded(tmp_path, served, "resume", "web", ok=False, code="release.unknown-app")

    assert (code, out) == (2, "")
    assert "[release.unknown-app]" in err


async def test_approve_names_the_digest_that_was_seen(tmp_path, served):
    await a_fleet(served[1].store)
    hold = {"reason": "PruneGuard", "count": 9, "approval": "d" * 64}
    held = line.report("c2", "web", 1, result=Result.HELD, sync=Sync.HELD, hold=hold, message="9 objects would go")
    await served[1].store.write([fold.of_report(held, line.at(3))])
    listed = await run(tmp_path, "approve", "--list")
    stale = await run(tmp_path, "approve", "c2/web", "--digest", "eeee")

    (code, out, _), command = await commanded(tmp_path, served, "approve", "c2/web")

    assert "9 objects would go" in listed[1]
    assert (stale[0], "no longer what you saw" in stale[2]) == (2, True)
    assert command.arguments == {"hold": "c2/web", "cluster": "c2", "app": "web", "approval": "d" * 64}
    assert (code, out) == (0, "approved c2/web dddddddddddd\n")


async def test_events_in_json_are_one_cloud_event_a_line(tmp_path, served):
    await a_fleet(served[1].store)

    code, out, _ = await run(tmp_path, "events", "-o", "json", "--types", "target", "--for", "cluster/c1")
    everything = (await run(tmp_path, "events", "-o", "json"))[1].splitlines()

    assert (code, out) == (0, "")
    assert [json.loads(each)["id"] for each in everything] == [str(number) for number in range(1, 7)]


async def test_following_resumes_without_loss_or_duplicates(tmp_path, served):
    client, parts, _ = served
    await parts.store.write([fold.of_revision(line.revision(1))])
    found = []
    arguments = ("events", "-w", "-o", "json", "--data", str(tmp_path))

    async with asyncio.timeout(30), started(tmp_path, *arguments) as process:
        for number in range(2, 6):
            found.append(int(json.loads(await process.stdout.readline())["id"]))
            # Every connection breaks, as at a restart of the hub.
            for connection in list(client.server.runner.server.connections):
                connection.force_close()
            await parts.store.write([fold.of_revision(line.revision(number))])
        process.send_signal(signal.SIGINT)
        await process.communicate()

    assert found == [1, 2, 3, 4]
    assert process.returncode == 130


async def test_sources_are_shown_with_their_status(served, tmp_path):
    _, parts, _ = served
    library = {"repository": "https://h/library", "ref": "v1.x", "code": "source.unverified", "hint": "sign it"}
    failed = line.fact("source-failed", 2, source="fleet", message="the commit 1234 is not verified", data=library)
    seen = line.revision(1).model_copy(update={"asked_ref": "main"})
    await parts.store.write([fold.of_revision(seen), facts.of_fact(failed)])
    code, out, err = await run(tmp_path, "get", "sources")
    named = await run(tmp_path, "get", "source", "fleet", "-o", "json")
    nothing = await run(tmp_path, "get", "source", "other")
    refs = {row.split()[1]: row for row in out.splitlines()[1:]}

    assert (code, err) == (0, "")
    assert refs["main"].split()[2:4] == ["ok", line.commit_id(1)[:12]]
    assert "unverified" in refs["v1.x"]
    assert "the commit 1234 is not verified" in refs["v1.x"]
    assert {each["hint"] for each in json.loads(named[1])["items"]} == {"", "sign it"}
    assert (nothing[0] != 0, "no source 'other'" in nothing[2]) == (True, True)
