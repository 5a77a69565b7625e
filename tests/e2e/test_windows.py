"""Windows over the whole line: a freeze, a person who lets one release go, and the end of the freeze."""

from datetime import UTC, datetime, timedelta

from tests.support.line import until


def files(version, deny):
    return {
        "fleet.yaml": f'version: 1\nwindows: {{calm: {{deny: "{deny}"}}}}\n',
        "clusters/all.yaml": "clusters: [{name: eu}]\n",
        "apps/web/app.yaml": "sync: {windows: calm}\n",
        "apps/web/web.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
        f'data: {{version: "{version}"}}\n',
    }


def version_on(running):
    found = running.cluster("eu").store.get("v1", "ConfigMap", "default", "web")
    return found and found["data"]["version"]


async def test_a_freeze_holds_until_it_ends_or_a_person_says_so_q5(line, local_git):
    """Q5: by the fleet's word, with the time of its end, and agents keep to it."""
    today = datetime.now(UTC).date()
    freeze, over = f"{today - timedelta(days=1)}..{today + timedelta(days=1)}", f"{today - timedelta(days=9)}"
    first = local_git.commit("fleet", files(1, over))
    running = await line(clusters=("eu",), sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(first)

    second = local_git.commit("fleet", files(2, freeze))

    async def held():
        return (await running.get("/api/v1/holds"))["items"]

    (hold,) = await until(held, what="the freeze is shown")

    assert hold["message"] == f"frozen until {today + timedelta(days=2)}T00:00:00Z (calm)"
    assert version_on(running) == "1"

    await running.command("releaser", "approve", hold=hold["name"], app=hold["app"], approval=hold["digest"])
    await running.wait(second)

    assert version_on(running) == "2"

    local_git.commit("fleet", files(3, freeze))
    await until(held, what="the next release waits again")

    assert version_on(running) == "2"

    await running.wait(local_git.commit("fleet", files(4, over)))

    assert version_on(running) == "4"
