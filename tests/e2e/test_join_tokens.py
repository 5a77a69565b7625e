"""Join tokens on a real hub: good once and for a while; whoever comes later learns why, and changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from services.applier.enrol import Here, RefusedByHubError, enrolled, token_of
from services.applier.identity import NewKey
from services.cli.client import Hub
from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {text: first}\n"


async def invited(line, **asked):
    async with Hub(line.address()) as hub:
        return token_of((await hub.post("/api/v1/clusters", asked))["token"])


def here(uid):
    return Here(uid, "v1.33", "0.1.0", {})


async def clusters(line):
    return {each["name"]: each["state"] for each in await line.items("clusters")}


async def test_a_join_token_that_was_used_or_is_too_late_opens_nothing(line, local_git):
    """Each is one clear error with its code; clusters and what runs on them stay as they are."""
    commit = local_git.commit("fleet", {"one.yaml": CONFIG})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit, "applied")
    used, late = await invited(running, name="c2"), await invited(running, name="c3", ttl_s=1)
    over = datetime.now(UTC) + timedelta(seconds=1)
    await enrolled(used, NewKey(), here("uid-2"))

    async def told():
        return await clusters(running) == {"c1": "connected", "c2": "offline", "c3": "invited"}

    await until(told, what="all clusters are told of")
    before, owned = await clusters(running), running.owned("c1")
    await until(lambda: datetime.now(UTC) > over, what="the token is too late")

    with pytest.raises(RefusedByHubError, match="used already") as again:
        await enrolled(used, NewKey(), here("uid-2"))
    with pytest.raises(RefusedByHubError, match="too old") as afterwards:
        await enrolled(late, NewKey(), here("uid-3"))

    assert (again.value.code, afterwards.value.code) == ("enrol.token-used", "enrol.token-expired")
    assert again.value.hint
    assert afterwards.value.hint
    assert (await clusters(running), running.owned("c1")) == (before, owned)
