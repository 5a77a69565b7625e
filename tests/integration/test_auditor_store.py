import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.auditor import facts, fold
from services.auditor.ledger import ORIGIN
from services.auditor.store import Store
from services.auditor.tables import metadata, revisions, targets
from shared.core.status import Health, Result, Sync
from shared.runtime.database import StoreUnavailableError
from tests.support import line_messages as line

APPS = ("web", "api")
CLUSTERS = ("c1", "c2")
PLACES = [(cluster, app) for cluster in CLUSTERS for app in APPS]


def url(folder):
    return f"sqlite+aiosqlite:///{Path(folder) / 'auditor.db'}"


def folded_render(message):
    return fold.of_rendered(message, message.listing)


@pytest.fixture
async def store(tmp_path):
    async with Store.open(url(tmp_path)) as opened:
        yield opened


async def rows(store, table):
    async with store.reading() as connection:
        return [dict(row._mapping) for row in await connection.execute(select(table))]


async def one_target(store, cluster="c1", app="web"):
    return next(row for row in await rows(store, targets) if (row["cluster"], row["app"]) == (cluster, app))


@st.composite
def histories(draw):
    """What the programs say over some commits: a list of folded messages in their natural order."""
    found = [fold.of_cluster(line.cluster(name, second=draw(st.integers(0, 3)))) for name in CLUSTERS]
    for number in range(1, draw(st.integers(1, 4)) + 1):
        found.append(fold.of_revision(line.revision(number)))
        places = draw(st.lists(st.sampled_from(PLACES), unique=True))
        outcome = st.sampled_from(["a", "b", line.problem()])
        rendering = {place: draw(outcome) for place in places}
        found.append(folded_render(line.rendered(number, rendering, complete=draw(st.booleans()))))
        good = {place: name for place, name in rendering.items() if isinstance(name, str)}
        if good:
            found.append(facts.of_fact(line.released(number, good)))
        for cluster, app in good:
            result = draw(st.sampled_from([Result.SUCCEEDED, Result.FAILED]))
            second = number + draw(st.integers(5, 50)) / 10
            found.append(fold.of_report(line.report(cluster, app, number, result=result), line.at(second)))
        said = dict.fromkeys(APPS, (number, Sync.SYNCED, Health.IN_PROGRESS))
        found.append(fold.of_status(line.status("c1", said, second=number), line.at(number + 9.03)))
    return found


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """A function: coroutine function, batches → its result, over one store that is emptied before."""
    folder = tmp_path_factory.mktemp("lasting")
    with asyncio.Runner() as runner:
        opening = Store.open(url(folder))
        store = runner.run(opening.__aenter__())

        async def emptied(ask, batches):
            async with store._database.writing() as connection:
                for table in metadata.sorted_tables:
                    await connection.execute(table.delete())
            store._position, store._hash = 0, ORIGIN
            return await ask(store, batches)

        yield lambda ask, batches: runner.run(emptied(ask, batches))
        runner.run(opening.__aexit__(None, None, None))


async def final_state(store, batches):
    """Return the keys of the ledger and all rows, without what depends on when the auditor looked."""
    for batch in batches:
        await store.write(batch)
    assert await store.verify() is None
    keys = sorted(entry.key for entry in await store.entries(0, 10_000))
    tables = {name: await rows(store, table) for name, table in metadata.tables.items() if name != "ledger"}
    for row in tables["revisions"]:
        for stage in ("rendered", "released", "applied", "healthy"):
            row.pop(f"{stage}_at")
            row.pop(stage, None)
        for name in ("open", "targets", "failed"):
            row.pop(name)
    return keys, {name: sorted(map(repr, found)) for name, found in tables.items()}


@settings(max_examples=30, deadline=None)
@given(histories(), st.data())
def test_order_and_number_of_deliveries_do_not_matter(lasting, history, data):
    again = data.draw(st.lists(st.sampled_from(history)))
    shuffled = data.draw(st.permutations(history + again))
    cut = data.draw(st.integers(0, len(shuffled)))

    expected = lasting(final_state, [history])
    found = lasting(final_state, [shuffled[:cut], shuffled[cut:]])

    assert found == expected


async def test_an_event_is_stored_once_also_after_the_store_is_opened_again(tmp_path):
    message = fold.of_revision(line.revision(1))
    async with Store.open(url(tmp_path)) as store:
        first = await store.write([message, message])
    async with Store.open(url(tmp_path)) as store:
        again = await store.write([message])
        other = await store.write([fold.of_revision(line.revision(2))])
        broken = await store.verify()

    assert [entry.position for entry in first] == [1]
    assert again == []
    assert [entry.position for entry in other] == [2]
    assert broken is None


async def test_a_row_changed_in_the_database_is_found(tmp_path):
    async with Store.open(url(tmp_path)) as store:
        await store.write([fold.of_revision(line.revision(number)) for number in (1, 2, 3)])
    database = sqlite3.connect(tmp_path / "auditor.db")
    database.execute("UPDATE ledger SET severity = 'error' WHERE position = 2")
    database.commit()
    database.close()

    async with Store.open(url(tmp_path)) as store:
        broken = await store.verify()

    assert broken.position == 2


async def test_a_revision_walks_through_its_stages(store):
    place = {("c1", "web"): "a"}
    seen = []

    for message in (
        fold.of_cluster(line.cluster("c1")),
        fold.of_revision(line.revision(1)),
        folded_render(line.rendered(1, place)),
        facts.of_fact(line.released(1, place)),
        fold.of_report(line.report("c1", "web", 1, health=Health.IN_PROGRESS), line.at(2)),
        fold.of_status(line.status("c1", {"web": (1, Sync.SYNCED, Health.CURRENT)}, second=3), line.at(3)),
    ):
        await store.write([message])
        found = await rows(store, revisions)
        seen.append(
            [stage for stage in ("rendered", "released", "applied", "healthy") if found and found[0][f"{stage}_at"]]
        )

    assert seen == [
        [],
        [],
        ["rendered"],
        ["rendered", "released"],
        ["rendered", "released", "applied"],
        ["rendered", "released", "applied", "healthy"],
    ]


async def test_a_commit_that_changes_nothing_is_there_with_its_render(store):
    place = {("c1", "web"): "a"}
    await store.write([fold.of_cluster(line.cluster("c1")), fold.of_revision(line.revision(1))])
    await store.write([folded_render(line.rendered(1, place)), facts.of_fact(line.released(1, place))])
    await store.write([fold.of_report(line.report("c1", "web", 1), line.at(2))])

    await store.write([fold.of_revision(line.revision(2)), folded_render(line.rendered(2, place))])

    assert all((row["released_at"], row["applied_at"], row["healthy_at"]) for row in await rows(store, revisions))


async def test_a_cluster_that_never_joined_holds_no_revision_up(store):
    both = {("c1", "web"): "a", ("c2", "web"): "a"}
    await store.write([fold.of_cluster(line.cluster("c1")), fold.of_cluster(line.cluster("c2", membership="expected"))])
    await store.write([fold.of_revision(line.revision(1)), folded_render(line.rendered(1, both))])

    await store.write([facts.of_fact(line.released(1, {("c1", "web"): "a"}))])

    (row,) = await rows(store, revisions)
    assert (row["targets"], row["released"]) == (1, 1)


async def test_an_app_that_left_is_there_once_its_tombstone_was_reported(store):
    place = {("c1", "web"): "a"}
    await store.write([fold.of_cluster(line.cluster("c1")), fold.of_revision(line.revision(1))])
    await store.write([folded_render(line.rendered(1, place)), facts.of_fact(line.released(1, place))])
    await store.write([fold.of_revision(line.revision(2)), folded_render(line.rendered(2, {}))])
    await store.write([facts.of_fact(line.released(2, {("c1", "web"): ""}, state="removed"))])
    before = next(row for row in await rows(store, revisions) if row["number"] == 2)

    await store.write([fold.of_report(line.report("c1", "web", 2, health=Health.NOT_FOUND), line.at(9))])

    after = next(row for row in await rows(store, revisions) if row["number"] == 2)
    assert (before["released_at"] != "", before["healthy_at"]) == (True, "")
    assert after["healthy_at"] != ""


async def test_a_report_that_is_sent_again_does_not_undo_a_newer_one(store):
    old = fold.of_report(line.report("c1", "web", 1, health=Health.FAILED), line.at(2))
    await store.write([old])
    await store.write([fold.of_report(line.report("c1", "web", 1, second=5), line.at(5))])

    await store.write([fold.of_report(line.report("c1", "web", 1, health=Health.FAILED), line.at(9))])

    assert (await one_target(store))["health"] == Health.CURRENT


async def test_a_locked_database_is_a_fault_that_passes(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.runtime.database.BUSY_TIMEOUT_S", 0.05)
    async with Store.open(url(tmp_path)) as store:
        other = sqlite3.connect(tmp_path / "auditor.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreUnavailableError):
            await store.write([fold.of_revision(line.revision(1))])

        other.execute("ROLLBACK")
        other.close()
        assert len(await store.write([fold.of_revision(line.revision(1))])) == 1


async def test_a_reader_cannot_write(store):
    async with store.reading() as connection:
        with pytest.raises(Exception, match="readonly"):
            await connection.execute(targets.delete())
