"""Going back over the whole line: by itself where a rollout asks for it, by hand, and never by somebody's replay."""

import asyncio
import json
from contextlib import asynccontextmanager

from services.cli.hosting import credentials_file
from shared import subjects
from shared.bus.connection import Bus
from shared.runtime.settings import read_credentials
from tests.e2e.test_rollouts import NAMES, files, images
from tests.support.line import PROJECT, until


def with_rollback(**how):
    """Return the files of a fleet whose rollout goes back by itself."""
    found = files(**how)
    fleet = found["fleet.yaml"].replace("  standard:\n", "  standard:\n    onFailure: rollback\n")
    assert fleet != found["fleet.yaml"]
    return {**found, "fleet.yaml": fleet}


async def started(line, local_git, **how):
    commit = local_git.commit("fleet", with_rollback(**how))
    running = await line(clusters=NAMES, sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit)
    return running, commit


async def cli(running, *arguments):
    """Run the command and return its code and what it said."""
    process = await asyncio.create_subprocess_exec(
        running.hub.command()[0],
        "-m",
        "services.cli",
        *arguments,
        "--data",
        str(running.data),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=PROJECT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def refused(running, cluster, code):
    """Return the event that tells of a refusal."""

    async def there():
        found = await running.items("events", cluster=cluster)
        return next((each for each in found if each["data"].get("reason") == code), None)

    return await until(there, what=code)


def taken_back(running, cluster, *, state=True):
    async def check():
        target = await running.get(f"/api/v1/targets/{cluster}/web")
        told = target["reason"] == "RolledBack" and target["sync"] == "OutOfSync"
        return target if bool(target["rollback"]) is state and told is state else None

    return until(check, what=f"{cluster} was {'' if state else 'not '}taken back")


async def test_a_commit_that_fails_in_its_first_stage_goes_back_there_by_itself(line, local_git):
    """L2, L4: it goes back, says so everywhere, is not tried again, and the next commit goes through."""
    running, first = await started(line, local_git)
    bad = local_git.commit("fleet", with_rollback(image="example.org/web:fail"))
    target = await taken_back(running, "dev")

    assert images(running) == dict.fromkeys(NAMES, "example.org/web:1")
    assert target["rollback"]["automatic"]
    assert (target["rollback"]["commit"], target["rollback"]["commits"]) == (bad, [first])
    assert {each["type"] for each in target["conditions"]} >= {"Ready", "Stalled"}

    code, said = await cli(running, "wait", "--commit", bad, "--timeout", "30s")

    assert code == 1
    assert "dev/web: RolledBack: releaser took it back" in said
    assert "towline resume dev/web" in said
    assert "RolledBack: " in (await cli(running, "get", "targets"))[1]

    fixed = local_git.commit("fleet", with_rollback(image="example.org/web:2"))
    await running.wait(fixed)
    await taken_back(running, "dev", state=False)

    assert images(running) == dict.fromkeys(NAMES, "example.org/web:2")


async def test_a_person_takes_an_app_back_and_lets_it_follow_git_again(line, local_git):
    """Q3, L4: with a reason, once by its id, and never silently."""
    running, first = await started(line, local_git)
    second = local_git.commit("fleet", with_rollback(image="example.org/web:2"))
    await running.wait(second)
    asked = ("rollback", "web", "--to", first[:10], "--reason", "incident 42", "--id", "incident-42-a")
    code, said = await cli(running, *asked)

    assert (code, first[:12] in said) == (0, True)
    for name in NAMES:
        target = await taken_back(running, name)
        assert (target["rollback"]["reason"], target["rollback"]["actor"]) == ("incident 42", "admin")
    assert images(running) == dict.fromkeys(NAMES, "example.org/web:1")
    assert (await cli(running, *asked))[1] == said
    assert (await running.get("/api/v1/targets/eu/web"))["generation"] == 3
    code, said = await cli(running, "wait", "--app", "web", "--timeout", "20s")
    assert (code, "incident 42" in said) == (1, True)

    await cli(running, "resume", "app/web")
    await running.wait(second)

    assert images(running) == dict.fromkeys(NAMES, "example.org/web:2")


@asynccontextmanager
async def holding_the_bus(running):
    """A connection with the releaser's own credential."""
    credentials = read_credentials(credentials_file(running.data, "releaser"))
    urls = json.loads((running.data / "hub.json").read_text())["bus"]
    async with Bus.connect(urls, lambda: credentials, name="replayer") as bus:
        await bus.wait_connected()
        yield bus


async def test_a_person_has_one_object_made_anew(line, local_git):
    """Q3: what is stuck is deleted and made again; nothing else is touched."""
    running, _ = await started(line, local_git)

    def uid():
        found = running.cluster("dev").store.get("apps/v1", "Deployment", "web", "web")
        return found and found["metadata"]["uid"]

    before = uid()
    code, said = await cli(running, "recreate", "web@dev", "apps/Deployment:web/web", "--reason", "stuck")
    await until(lambda: uid() not in {None, before}, what=said)

    assert code == 0
    assert (await cli(running, "retry", "web"))[0] == 0


async def test_a09_a_rollback_works_once_and_every_older_document_is_refused(line, local_git):
    """A09: whoever holds the bus may replay what was signed; only a new signature takes a cluster back."""
    running, first = await started(line, local_git)
    async with holding_the_bus(running) as bus:

        async def signed():
            return (await bus.last(subjects.DESIRED, subjects.desired("dev"))).data

        documents = [await signed()]
        second = local_git.commit("fleet", with_rollback(image="example.org/web:2"))
        await running.wait(second)
        await cli(running, "rollback", "web@dev", "--to", first, "--reason", "incident 42")
        await taken_back(running, "dev")
        documents.append(await signed())
        await cli(running, "resume", "dev/web")
        await running.wait(second)
        for document in documents:
            await bus.publish(subjects.desired("dev"), document)
        event = await refused(running, "dev", "desired.older")

    assert event["data"]["severity"] == "error"
    assert images(running) == dict.fromkeys(NAMES, "example.org/web:2")
