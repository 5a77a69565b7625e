"""Repositories that cannot be had, or are not what they were: told by one code, nothing deleted, the others go on."""

import json

import pytest

from tests.support.git_server import Fault
from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {text}}}\n"


def one(name, text):
    return {"config.yaml": CONFIG.format(name=name, text=text)}


def text_of(line, name):
    found = line.cluster("c1").store.get("v1", "ConfigMap", "default", name)
    return found and found["data"]["text"]


def deletions(line):
    return [each.path for each in line.cluster("c1").requests if each.method == "DELETE"]


async def started(line, git, *, ref=""):
    """Start a line of the sources `fleet` and `other`, and return it once both are applied."""
    first = [git.commit(name, one(name, "first")) for name in ("fleet", "other")]
    if ref.startswith("v"):
        git.tag("fleet", ref, first[0])
    where = getattr(git, "url", git.path)
    sources = {"fleet": f"{where('fleet')}{ref and '#'}{ref}", "other": str(where("other"))}
    running = await line(clusters=["c1"], sources=sources)
    for commit in first:
        await running.wait(commit, "applied")
    return running


async def looked(line, code):
    """Look at `fleet` and return what is said of it once its code is `code`; empty: it answers."""
    last = []

    async def there():
        nonlocal last
        await line.command("poller", "sync", source="fleet")
        last = (await line.get("/api/v1/sources"))["items"]
        codes = {each["name"]: each["code"] for each in last}
        return codes == ({"fleet": code} if code else {}) and (last or True)

    found = await until(there, what=lambda: f"source fleet with {code!r}: {last}", deadline_s=20)
    return found[0] if code else None


async def told(line, kind):
    return [each["data"] for each in await line.items("events", types=kind)]


async def other_goes_on(line, git, text):
    await line.wait(git.commit("other", one("other", text)), "applied")
    assert text_of(line, "other") == text


def password(line, git, text):
    """Give the hub a password for `fleet`; it is read again when it changes."""
    known = [{"url": git.url("fleet"), "username": "ada", "password": text}]
    (line.data / "credentials.json").write_text(json.dumps(known))


@pytest.mark.slow
async def test_a_repository_that_cannot_be_had_is_told_by_its_code_and_heals(line, git_server):
    """Unreachable, gone, a wrong password: each is one fact; what runs stays, the other source goes on, and it heals."""
    running = await started(line, git_server)
    failures = {
        "source.unreachable": lambda: git_server.faults.update(fleet=Fault(status=503)),
        "source.not-found": lambda: git_server.faults.update(fleet=Fault(status=404)),
        "source.auth": lambda: git_server.passwords.update(fleet=("ada", "right")),
    }
    for number, (code, break_it) in enumerate(failures.items()):
        password(running, git_server, "wr0ng")
        break_it()
        found = await looked(running, code)
        await other_goes_on(running, git_server, f"while-{number}")
        facts = [each for each in await told(running, "source.failed") if each["code"] == code]

        assert git_server.url("fleet") in found["message"], code
        assert "wr0ng" not in str([found, facts]), code
        assert len(facts) == 1, code
        assert facts[0]["hint"], code

        git_server.faults.clear()
        password(running, git_server, "right")
        await looked(running, "")
        await running.wait(git_server.commit("fleet", one("fleet", f"after-{number}")), "applied")
        assert text_of(running, "fleet") == f"after-{number}"
    assert deletions(running) == []


async def test_a_repository_that_never_answered_hinders_no_other(line, git_server):
    """Nobody listens there: the fact names the host, and the other source runs from its first commit on."""
    commit = git_server.commit("other", one("other", "first"))
    sources = {"fleet": "http://127.0.0.1:1/fleet.git", "other": git_server.url("other")}
    running = await line(clusters=["c1"], sources=sources)
    await running.wait(commit, "applied")
    found = await looked(running, "source.unreachable")

    assert "http://127.0.0.1:1" in found["message"]
    assert text_of(running, "other") == "first"


async def test_a33_whatever_becomes_of_a_repository_nothing_is_deleted(line, local_git):
    """A33, I7: force-push, deleted branch, repository gone: told by its code, 0 deletes, and the next push arrives."""
    running = await started(line, local_git)
    forced = local_git.commit("fleet", one("fleet", "forced"), amend=True)
    await running.wait(forced, "applied")
    local_git.delete("fleet", "refs/heads/main")
    deleted = await looked(running, "source.ref-missing")
    await other_goes_on(running, local_git, "while deleted")
    local_git.point("fleet", "refs/heads/main", forced)
    await looked(running, "")
    away = local_git.path("fleet").rename(local_git.root / "away.git")
    gone = await looked(running, "source.not-found")
    await other_goes_on(running, local_git, "while gone")
    away.rename(local_git.path("fleet"))
    await looked(running, "")
    (rewritten,) = await told(running, "history.rewritten")

    assert deleted["message"] != gone["message"]
    assert rewritten["commit"] == forced
    assert text_of(running, "fleet") == "forced"
    await running.wait(local_git.commit("fleet", one("fleet", "later")), "applied")
    assert text_of(running, "fleet") == "later"
    assert deletions(running) == []


async def test_a33_a_tag_that_moves_is_followed_and_one_that_goes_deletes_nothing(line, local_git):
    """A33: the tag names another commit, then none, then one again."""
    running = await started(line, local_git, ref="v1.0.0")
    moved = local_git.commit("fleet", one("fleet", "moved"))
    local_git.tag("fleet", "v1.0.0", moved, annotated=True)
    await running.wait(moved, "applied")
    local_git.delete("fleet", "refs/tags/v1.0.0")
    await looked(running, "source.ref-missing")

    assert text_of(running, "fleet") == "moved"
    again = local_git.commit("fleet", one("fleet", "again"))
    local_git.tag("fleet", "v1.0.0", again)
    await running.wait(again, "applied")
    assert text_of(running, "fleet") == "again"
    assert deletions(running) == []
