"""A push with a webhook reaches a cluster without waiting for an interval, and nothing else does."""

import json
import subprocess

import aiohttp
import pytest

from tests.support.forges import WRONG, pushed

SECRET = "a-secret-of-a-hook"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: greeting}}\ndata: {{text: {text}}}\n"
NEVER = {"TOWLINE_POLLER_INTERVAL_S": "86400", "TOWLINE_POLLER_HOOKS_LISTEN": "127.0.0.1:0"}
"""A hub that looks at its sources once, and then only when it is told."""


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(git_server, tmp_path):
    """A clone of the fleet, whose pushes go over HTTP."""
    git_server.commit("fleet", {"greeting.yaml": CONFIG.format(text="hello")})
    git(tmp_path, "clone", "--quiet", git_server.url("fleet"), "checkout")
    return tmp_path / "checkout"


@pytest.fixture
async def hooked(line, git_server, checkout, tmp_path):
    """The line, with a hub that takes webhooks of one source."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "webhooks.json").write_text(json.dumps({"fleet": SECRET}))
    running = await line(clusters=["c1"], sources={"fleet": git_server.url("fleet")}, environment=NEVER)
    await running.wait(git(checkout, "rev-parse", "HEAD"))
    return running


async def post(running, posted):
    url = json.loads((running.data / "hub.json").read_text())["hooks"]
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/hooks/fleet", data=posted.body, headers=posted.headers) as answer,
    ):
        return answer.status, await answer.json()


def push(checkout, text):
    (checkout / "greeting.yaml").write_text(CONFIG.format(text=text))
    git(checkout, "commit", "--quiet", "--all", "--message", f"Say {text}")
    git(checkout, "push", "--quiet", "origin", "HEAD:main")
    return git(checkout, "rev-parse", "HEAD")


def text_of(running):
    return running.owned("c1")["/ConfigMap:default/greeting"]["data"]["text"]


async def test_a_push_and_its_webhook_change_a_cluster(hooked, git_server, checkout):
    """A26: git is asked what was pushed; the commit that a delivery names is nobody's."""
    commit = push(checkout, "goodbye")
    status, answer = await post(hooked, pushed("gitea", SECRET, git_server.url("fleet")))
    await hooked.wait(commit)
    events = await hooked.items("events", types="revision.observed")
    told = {each["data"]["commit"]["id"]: each["data"]["hinted_by"] for each in events}

    assert (status, answer["result"]) == (202, "looking")
    assert text_of(hooked) == "goodbye"
    assert told[commit] == "gitea"
    assert WRONG not in json.dumps(events)


async def test_a_forged_webhook_changes_nothing(hooked, git_server, checkout):
    """S12, I9: and what it tried to guess stands in no log."""
    commit = push(checkout, "forged")
    asked = len(git_server.requests)
    status, _ = await post(hooked, pushed("gitlab", "a-guess", git_server.url("fleet")))

    assert status == 401
    assert len(git_server.requests) == asked
    assert text_of(hooked) == "hello"
    status, _ = await post(hooked, pushed("gitlab", SECRET, git_server.url("fleet")))
    await hooked.wait(commit)
    log = hooked.hub.log.read_text()

    assert '"event":"hook_refused"' in log
    assert "a-guess" not in log
    assert SECRET not in log
