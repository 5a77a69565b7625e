"""What people see of a target that was taken back: by the API, by `wait` and on the page, over a real database."""

import pytest

from services.auditor import facts, fold
from shared.core.status import ROLLED_BACK, Sync
from tests.support import line_messages as line
from tests.support.auditor_app import bearer, serving

WEB = {("c1", "web"): "a", ("c2", "web"): "a"}
AFTER = {("c1", "web"): "b", ("c2", "web"): "b"}


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path) as (client, parts, _):
        await parts.store.write([fold.of_cluster(line.cluster(name)) for name in ("c1", "c2")])
        yield client, parts.store


def commit(number, targets):
    message = line.rendered(number, targets)
    return [fold.of_revision(line.revision(number)), fold.of_rendered(message, message.listing)]


def reported(cluster, number, **how):
    message = line.report(cluster, "web", number, **how)
    return fold.of_report(message, message.finished_at)


def taken_back(second, kind="rolled-back", **how):
    told = {"from": "1.2", "to": "1.1", "commit": line.commit_id(2), "commits": [line.commit_id(1)], **how}
    place = {"cluster": "c1", "app": "web", "aside": line.bundle_id("b")}
    return facts.of_fact(line.fact(kind, second, app="web", data={"rollbacks": [{**place, **told}]}))


async def went_back(store):
    """A commit that c2 runs and c1 was taken back from."""
    await store.write([*commit(1, WEB), facts.of_fact(line.released(1, WEB)), reported("c1", 1), reported("c2", 1)])
    await store.write([*commit(2, AFTER), facts.of_fact(line.released(2, AFTER)), reported("c2", 2, bundle="b")])
    said = {"from": "1.2", "to": "1.1", "commit": line.commit_id(2), "actor": "ada", "reason": "incident 42"}
    back = facts.of_fact(line.released(3, {("c1", "web"): "a"}, rollback=said))
    why = {"sync": Sync.OUT_OF_SYNC, "reason": ROLLED_BACK}
    await store.write([taken_back(2.9, actor="ada", reason="incident 42"), back, reported("c1", 3, **why)])


async def get(client, path):
    answer = await client.get(path, headers=bearer())
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def progress(client, number, stage="applied"):
    return await get(client, f"/api/v1/progress?stage={stage}&commits={line.commit_id(number)}")


async def test_a_target_that_was_taken_back_is_shown_as_that_everywhere(served):
    """L4: the target, its app, its revision and the page say so, and why."""
    client, store = served
    await went_back(store)
    target = await get(client, "/api/v1/targets/c1/web")
    app = (await get(client, "/api/v1/apps"))["items"][0]
    (newest, _) = (await get(client, "/api/v1/revisions"))["items"]
    releases = (await get(client, "/api/v1/releases?cluster=c1"))["items"]
    page = await (await client.get("/", headers=bearer())).text()

    assert {each["name"]: each["rollback"] for each in releases} == {
        "c1/web@1.1": "",
        "c1/web@1.2": "",
        "c1/web@1.3": "ada took it back from 020202020202 to 030303030303: incident 42",
    }
    assert (target["sync"], target["reason"]) == ("OutOfSync", ROLLED_BACK)
    assert target["rollback"]["from"] == "1.2"
    assert [each["type"] for each in target["conditions"] if each["status"] == "True"] == ["Healthy", "Stalled"]
    assert (app["failed"], newest["failed"], newest["state"]) == (1, 1, "failed")
    assert "RolledBack: ada took it back from 020202020202 to 010101010101: incident 42" in page


@pytest.mark.parametrize("stage", ["released", "applied", "healthy"])
async def test_a_commit_that_stays_behind_has_failed_for_good_and_the_way_out_is_named(served, stage):
    """L4: `wait` says so at once."""
    client, store = served
    await went_back(store)
    found = await progress(client, 2, stage)

    assert found["state"] == "failed"
    assert [each["name"] for each in found["failures"]] == ["c1/web"]
    assert "towline resume c1/web" in found["failures"][0]["message"]


async def test_what_comes_after_is_waited_for_and_then_nothing_is_left_of_it(served):
    """L4: a commit that changes what was set aside is on its way, whoever hears of it first."""
    client, store = served
    await went_back(store)
    new = {("c1", "web"): "c", ("c2", "web"): "c"}
    await store.write(commit(4, new))

    assert (await progress(client, 4))["state"] == "waiting"

    over = [taken_back(4.3, "rollback-over"), facts.of_fact(line.released(4, new))]
    await store.write([*over, reported("c1", 4, bundle="c"), reported("c2", 4, bundle="c"), taken_back(2.9)])

    assert (await progress(client, 4, "healthy"))["state"] == "done"
    assert (await get(client, "/api/v1/targets/c1/web"))["rollback"] is None
