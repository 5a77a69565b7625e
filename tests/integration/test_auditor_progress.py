import pytest

from services.auditor import facts, fold
from services.auditor.filters import ProgressFilter
from services.auditor.progress import progress
from services.auditor.store import Store
from shared.core.status import Health, Result, Sync
from tests.support import line_messages as line

WEB = {("c1", "web"): "a", ("c2", "web"): "a"}


@pytest.fixture
async def store(tmp_path):
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}") as opened:
        await opened.write([fold.of_cluster(line.cluster(name)) for name in ("c1", "c2")])
        yield opened


def rendered(number, targets, **how):
    message = line.rendered(number, targets, **how)
    return fold.of_rendered(message, message.listing)


def revision(number, **how):
    return fold.of_revision(line.revision(number, **how))


def released(number, targets, **how):
    return facts.of_fact(line.released(number, targets, **how))


def reported(cluster, number, second=None, **how):
    message = line.report(cluster, "web", number, second=second, **how)
    return fold.of_report(message, message.finished_at)


def whole_line(number, targets, **how):
    """Return all that a commit leaves behind when everything works."""
    reports = [reported(cluster, number, **how) for cluster, _ in targets]
    return [revision(number), rendered(number, targets), released(number, targets), *reports]


async def ask(store, commit=None, stage="applied", **chosen):
    wanted = ProgressFilter(stage=stage, commits=line.commit_id(commit)[:8] if commit else "", **chosen)
    async with store.reading() as connection:
        return await progress(connection, wanted)


async def state(store, *args, **how):
    return (await ask(store, *args, **how)).state


async def test_a_commit_that_was_not_seen_is_waited_for(store):
    found = await ask(store, 1)

    assert (found.state, found.message) == ("waiting", "commit 01010101 was not seen yet")


async def test_a_commit_is_there_stage_by_stage(store):
    seen = []
    for folded in whole_line(1, WEB, health=Health.IN_PROGRESS):
        await store.write([folded])
        seen.append([await state(store, 1, stage=stage) for stage in ("rendered", "released", "applied", "healthy")])
    await store.write([reported(cluster, 1, second=3) for cluster in ("c1", "c2")])
    seen.append([await state(store, 1, stage=stage) for stage in ("rendered", "released", "applied", "healthy")])

    assert [row.count("done") for row in seen] == [0, 1, 2, 2, 3, 4]
    assert {word for row in seen for word in row} == {"waiting", "done"}


async def test_a_commit_that_changes_nothing_counts_as_there(store):
    await store.write([*whole_line(1, WEB), revision(2), rendered(2, WEB)])

    assert await state(store, 2, stage="healthy") == "done"


async def test_a_superseded_commit_is_there_once_its_successor_is(store):
    await store.write([revision(1), revision(2), rendered(2, WEB), released(2, WEB), reported("c1", 2)])
    before = await state(store, 1)
    await store.write([reported("c2", 2)])

    assert (before, await state(store, 1)) == ("waiting", "done")


async def test_a_commit_that_was_never_a_tip_follows_the_tip_that_brought_it(store):
    await store.write([revision(3, superseded=(2, 1)), *whole_line(3, WEB)[1:]])

    assert [await state(store, number) for number in (1, 2, 3)] == ["done"] * 3


async def test_expected_clusters_are_left_out(store):
    await store.write([fold.of_cluster(line.cluster("c2", membership="expected", second=1))])
    await store.write(whole_line(1, {("c1", "web"): "a"}))
    await store.write([rendered(2, WEB), revision(2)])

    found = await ask(store, 2)

    assert (found.state, found.targets) == ("done", 1)


async def test_nothing_selected_is_said(store):
    await store.write(whole_line(1, WEB))

    assert await state(store, apps="nope") == "empty"
    assert await state(store, 1, apps="nope") == "empty"
    assert await state(store, clusters="c9") == "empty"


async def test_a_target_that_cannot_be_rendered_fails_by_name(store):
    await store.write([revision(1), rendered(1, {**WEB, ("c1", "web"): line.problem()})])

    found = await ask(store, 1, stage="healthy")

    assert found.state == "failed"
    assert [(each.name, each.message) for each in found.failures] == [
        ("c1/web", "apps/web/app.yaml:3:7: mapping values are not allowed")
    ]
    assert await state(store, 1, clusters="c2", stage="rendered") == "done"


async def test_a_fleet_that_cannot_be_read_fails_the_commit(store):
    await store.write([revision(1), rendered(1, {}, complete=False, problems=[line.problem(file="fleet.yaml")])])

    found = await ask(store, 1)

    assert (found.state, found.failures[0].name) == ("failed", f"fleet@{line.commit_id(1)[:12]}")
    assert "fleet.yaml:3:7" in found.failures[0].message


async def test_the_next_good_commit_clears_the_failure(store):
    bad = [revision(1), rendered(1, {}, complete=False, problems=[line.problem()])]
    await store.write([*bad, *whole_line(2, WEB)])

    assert await state(store, 1) == "done"


@pytest.mark.parametrize(
    ("result", "sync"),
    [(Result.FAILED, Sync.OUT_OF_SYNC), (Result.REFUSED, Sync.OUT_OF_SYNC), (Result.HELD, Sync.HELD)],
)
async def test_a_target_that_failed_to_apply_fails_by_name(store, result, sync):
    await store.write(whole_line(1, WEB))
    await store.write([revision(2), rendered(2, dict.fromkeys(WEB, "b")), released(2, dict.fromkeys(WEB, "b"))])
    before = await state(store, 2)
    await store.write([reported("c1", 2, result=result, sync=sync, message="quota exceeded")])
    found = await ask(store, 2)

    assert (before, found.state, found.failures[0].name) == ("waiting", "failed", "c1/web")
    assert "quota exceeded" in found.failures[0].message


async def test_a_failure_of_the_release_before_is_history(store):
    await store.write(whole_line(1, WEB, result=Result.FAILED, sync=Sync.OUT_OF_SYNC))
    await store.write([revision(2), rendered(2, dict.fromkeys(WEB, "b")), released(2, dict.fromkeys(WEB, "b"))])

    assert await state(store, 2) == "waiting"


async def test_an_app_is_waited_for_by_what_it_shall_run_now(store):
    await store.write(whole_line(1, WEB))
    before = await state(store, apps="web", stage="healthy")
    await store.write([revision(2), rendered(2, dict.fromkeys(WEB, "b"))])

    assert (before, await state(store, apps="web", stage="healthy")) == ("done", "waiting")


async def test_a_commit_of_another_repository_selects_the_apps_that_use_it(store):
    message = line.rendered(5, WEB)
    platform = message.provenance[0].model_copy(
        update={"source": "platform", "repository": "https://git.example.org/platform.git", "commit": line.commit_id(9)}
    )
    targets = (message.listing.targets[0].model_copy(update={"provenance": (1,)}), message.listing.targets[1])
    listing = message.listing.model_copy(update={"targets": targets})
    message = message.model_copy(update={"provenance": (*message.provenance, platform)})
    seen = line.revision(9, source="platform").model_copy(update={"repository": platform.repository})
    await store.write([fold.of_revision(seen), fold.of_rendered(message, listing), released(5, WEB)])

    found = await ask(store, 9, stage="released")

    assert (found.state, found.targets) == ("done", 1)


async def test_a_commit_that_mends_a_failure_is_not_failed_by_it(store):
    """What the agents said is about the bundle before, until the new one is released."""
    await store.write(whole_line(1, WEB, health=Health.FAILED))
    broken = await state(store, 1, stage="healthy")
    mended = dict.fromkeys(WEB, "b")
    seen = []

    for folded in (revision(2), rendered(2, mended), released(2, mended)):
        await store.write([folded])
        seen.append(await state(store, 2, stage="healthy"))

    assert (broken, seen) == ("failed", ["waiting"] * 3)


async def test_what_failed_before_a_release_is_applied_is_no_failure_of_it(store):
    """C10, Q5: as while it waits for its turn, or for a window."""
    await store.write(whole_line(1, WEB, health=Health.FAILED))
    before = await state(store, 1, stage="healthy")
    await store.write([revision(2), rendered(2, dict.fromkeys(WEB, "b")), released(2, dict.fromkeys(WEB, "b"))])
    waiting = {"web": (2, Sync.APPLYING, Health.FAILED)}
    await store.write([fold.of_status(line.status("c1", waiting, second=30), line.at(30))])

    assert (before, await state(store, 2, stage="healthy")) == ("failed", "waiting")
