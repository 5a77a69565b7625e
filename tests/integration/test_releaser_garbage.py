"""What nothing names leaves the bus, and only that."""

from services.releaser import garbage
from services.releaser.tables import bundles, releases
from shared import subjects
from shared.bus.blobs import blob_place, has_blob
from shared.bus.storing import store_blob
from tests.support.releaser import dg, rendered


async def test_only_what_no_roster_and_no_late_release_names_is_thrown_away(registry):
    await registry.join("c1")
    for number, name in enumerate("abcdefgh", 1):
        await registry.take(rendered(number, {("c1", "web"): name}))
    await registry.report("c1", "web")
    registry.clock.pass_(hours=2)
    await garbage.collect(registry.store)
    thrown = {(row["audience"], row["blob"]) for row in await registry.rows(garbage.garbage)}

    assert {blob for audience, blob in thrown if audience == subjects.SHARED} == {dg("as"), dg("bs"), dg("cs")}
    assert len(await registry.rows(releases)) == 5
    assert {row["bundle"] for row in await registry.rows(bundles)} == {dg(name) for name in "defgh"}


async def test_what_an_agent_may_still_have_to_delete_is_kept(registry):
    await registry.join("c1")
    for number, name in enumerate("abcdefgh", 1):
        await registry.take(rendered(number, {("c1", "web"): name}))
    registry.clock.pass_(hours=2)
    await garbage.collect(registry.store)

    assert {row["bundle"] for row in await registry.rows(bundles)} == {dg(name) for name in "abcdefgh"}


async def test_a_render_that_came_too_late_leaves_no_content_for_ever(registry):
    await registry.take(rendered(5, {("c1", "web"): "a"}))
    await registry.take(rendered(4, {("c1", "web"): "b"}))
    registry.clock.pass_(hours=2)
    await garbage.collect(registry.store)

    assert {row["bundle"] for row in await registry.rows(bundles)} == {dg("a")}


async def test_what_was_thrown_away_is_purged_from_the_bus_and_nothing_else(registry, connect):
    renderer, releaser = await connect("renderer"), await connect("releaser")
    old, new = [await store_blob(renderer, blob_place(subjects.SHARED), each) for each in (b"old", b"new")]
    async with registry.store.deciding() as tx:
        await tx.put(garbage.garbage, [{"audience": subjects.SHARED, "blob": old.digest}])

    assert await garbage.purge(registry.store, releaser) == {old.digest}
    assert not await has_blob(renderer, blob_place(subjects.SHARED), old)
    assert await has_blob(renderer, blob_place(subjects.SHARED), new)
    assert await registry.rows(garbage.garbage) == []
