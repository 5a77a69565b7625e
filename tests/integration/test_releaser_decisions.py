"""Renders, reports and commands become releases: over a real database, without a bus."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.releaser.tables import clusters, desired, holds, outbox
from shared.core.status import Result, Sync
from shared.messages.reports import Hold
from tests.support.releaser import FAILED, KEYS, a_registry, dg, fleet, rendered
from tests.support.releaser_fixtures import ALL, THREE


async def test_a_cluster_that_never_joined_is_expected_and_released_when_it_joins(registry):
    await registry.take(rendered(1, {("c1", "web"): "a", ("c2", "web"): "a"}, part=fleet({"c1": {}, "c2": {}})))

    assert await registry.running() == {}

    await registry.join("c1")

    assert await registry.running() == {("c1", "web"): "a"}
    assert (await registry.roster("c1"))["web"]["bundle"]["digest"] == dg("a")
    assert [row["cluster"] for row in await registry.rows(desired)] == ["c1"]
    assert {row["cluster"]: row["membership"] for row in await registry.rows(clusters)} == {
        "c1": "joined",
        "c2": "expected",
    }


async def test_a_commit_that_changes_one_target_writes_one_target(three):
    before = {row["cluster"]: row["generation"] for row in await three.rows(desired)}
    counters = await three.counters()
    await three.take(rendered(2, {**ALL, ("c2", "web"): "b"}, part=fleet(THREE)))
    changed = {place for place, pair in (await three.counters()).items() if pair != counters[place]}
    after = {row["cluster"]: row["generation"] for row in await three.rows(desired)}

    assert changed == {("c2", "web")}
    assert {name for name in after if after[name] != before[name]} == {"c2"}
    (fact,) = await three.facts("released")
    assert [(r["cluster"], r["app"], r["bundle"]) for r in fact.data["releases"]] == [("c2", "web", dg("b"))]
    assert fact.data["number"] == 2


async def test_a_release_may_delete_what_skipped_generations_may_have_left(three):
    await three.take(rendered(2, {**ALL, ("c1", "web"): "b"}, part=fleet(THREE)))
    await three.take(rendered(3, {**ALL, ("c1", "web"): "c"}, part=fleet(THREE)))

    release = (await three.roster("c1"))["web"]
    assert release["deletes"] == sorted({*KEYS["a"], *KEYS["b"]})
    assert release["deletes_known"]

    await three.report("c1", "web")
    await three.take(rendered(4, {**ALL, ("c1", "web"): "a"}, part=fleet(THREE)))

    assert (await three.roster("c1"))["web"]["deletes"] == list(KEYS["c"])


async def test_a05_failed_targets_and_unreadable_apps_stay_as_they_are(three):
    """A05, I7: failures, unreadable apps and clusters, and incomplete renders shrink nothing."""
    running = await three.running()
    failed = {place: FAILED if place[1] == "web" else "b" for place in ALL}
    await three.take(rendered(2, failed, part=fleet(THREE)))

    assert {place: name for place, name in (await three.running()).items() if place[1] == "web"} == {
        place: "a" for place in running if place[1] == "web"
    }

    without = {place: "b" for place in ALL if place[1] != "web"}
    readable = {"web": False, "api": True, "db": True}
    await three.take(rendered(3, without, part=fleet(THREE), apps=readable))
    await three.take(rendered(4, {}, part=None, complete=False, apps={}))
    others = {place: "b" for place in ALL if place[0] != "c3"}
    await three.take(rendered(5, others, part=fleet({"c1": THREE["c1"], "c2": THREE["c2"]}, unreadable=("c3",))))

    assert set(await three.running()) == set(running)
    assert not await three.facts("removed", "held")


async def test_an_app_that_was_removed_on_purpose_leaves_its_clusters_by_tombstones(three):
    before = (await three.roster("c1"))["web"]
    await three.take(rendered(2, {place: "a" for place in ALL if place[1] != "web"}, part=fleet(THREE)))

    release = (await three.roster("c1"))["web"]
    assert (release["state"], release["bundle"], release["deletes"]) == ("removed", None, sorted(KEYS["a"]))
    assert release["last"]["digest"] == before["bundle"]["digest"]
    assert len(await three.facts("removed")) == 1

    await three.report("c1", "web", bundle="")
    await three.take(
        rendered(
            3,
            {place: "b" for place in ALL if place[1] == "api"} | {place: "a" for place in ALL if place[1] == "db"},
            part=fleet(THREE),
        )
    )

    assert "web" not in await three.roster("c1")


async def test_a_tombstone_names_the_bundle_that_ran_last_whatever_is_approved_of_it_meanwhile(three):
    await three.take(rendered(2, {place: "a" for place in ALL if place[1] != "web"}, part=fleet(THREE)))
    first = (await three.roster("c1"))["web"]
    held = Hold(reason="HookFailed", approval="5" * 64)
    await three.report("c1", "web", result=Result.FAILED, sync=Sync.HELD, settled=False, hold=held)
    await three.command("approve", hold="c1/web", cluster="c1", app="web", approval=held.approval)
    second = (await three.roster("c1"))["web"]

    assert (second["state"], second["approval"], second["last"]) == ("removed", held.approval, first["last"])
    assert second["generation"] == first["generation"] + 1


async def test_a06_a_fleet_emptied_by_one_commit_is_held_and_an_approval_releases_exactly_that(three):
    """A06."""
    await three.take(rendered(2, {}, part=fleet(THREE), apps={}))
    (held,) = await three.facts("held")

    assert all(name == "a" for name in (await three.running()).values())
    assert held.data["id"] == "tombstones/fleet"
    assert held.data["count"] == 9

    wrong = await three.command("approve", hold=held.data["id"], approval="0" * 64)
    assert (wrong.data["ok"], wrong.data["code"]) == (False, "approval.changed")

    right = await three.command("approve", hold=held.data["id"], approval=held.data["approval"])
    assert right.data["ok"]
    assert set((await three.running()).values()) == {""}
    assert await three.rows(holds) == []


async def test_a06_the_fleets_definition_gone_is_held_though_one_app_is_left(three):
    """A06."""
    await three.take(rendered(2, {place: "a" for place in ALL if place[1] != "web"}, part=None))
    (held,) = await three.facts("held")

    assert "definition is gone" in held.message
    assert all(name == "a" for name in (await three.running()).values())
    assert {row["membership"] for row in await three.rows(clusters)} == {"joined"}


async def test_a06_what_comes_back_dissolves_the_hold(three):
    """A06."""
    await three.take(rendered(2, {}, part=fleet(THREE), apps={}))
    await three.take(rendered(3, ALL, part=fleet(THREE)))

    assert [fact.type for fact in await three.facts("held", "hold-dissolved", "removed")] == ["held", "hold-dissolved"]
    assert await three.rows(holds) == []
    assert set((await three.running()).values()) == {"a"}


async def test_the_rest_of_a_held_revision_is_released(three):
    kept = {("c1", "web"): "b"}
    await three.take(rendered(2, kept, part=fleet(THREE)))

    assert (await three.running())["c1", "web"] == "b"
    assert len(await three.rows(holds)) == 1


async def test_a03_renders_that_finish_in_reverse_release_the_newest_only(three):
    """A03."""
    assert await three.take(rendered(5, dict.fromkeys(ALL, "b"), part=fleet(THREE)))
    assert not await three.take(rendered(4, dict.fromkeys(ALL, "c"), part=fleet(THREE)))
    assert set((await three.running()).values()) == {"b"}


async def test_equal_content_at_another_blob_is_released_anew(three):
    await three.take(rendered(2, {**ALL, ("c1", "web"): "a"}, part=fleet(THREE), blobs={"a": "z"}))

    assert (await three.roster("c1"))["web"]["bundle"]["blob"]["digest"] == dg("z")


async def test_an_apps_name_stays_with_its_first_source(three):
    await three.take(rendered(1, {("c1", "web"): "c"}, source="other"))
    (refused,) = await three.facts("app-refused")

    assert refused.data["code"] == "fleet.app-taken"
    assert (await three.running())["c1", "web"] == "a"


async def test_only_one_source_defines_the_fleet(three):
    await three.take(rendered(1, {}, source="other", part=fleet({"c9": {}}), apps={}))

    assert [fact.data["code"] for fact in await three.facts("fleet-refused")] == ["fleet.second-fleet"]
    assert "c9" not in {row["cluster"] for row in await three.rows(clusters)}


async def test_what_a_cluster_loses_by_a_hub_label_is_orphaned_until_approved(registry):
    """F34: only after an approval something is deleted."""
    everywhere = {("c1", "web"): "a", ("c1", "api"): "a"}
    await registry.take(rendered(1, {}, part=fleet({}), apps={}))
    await registry.join("c1", labels={"env": "prod"})
    await registry.take(rendered(2, everywhere, part=fleet({}), version=1))
    await registry.facts()
    answer = await registry.command("cluster-labels", cluster="c1", set={"env": "dev"}, remove=[])
    assert answer.data["result"] == {"labels": {"env": "dev"}}

    await registry.take(rendered(2, everywhere, part=fleet({}), version=1))
    lost = rendered(3, {("c1", "web"): "b"}, part=fleet({}), version=2, apps={"web": True, "api": True})
    await registry.take(lost)
    await registry.take(lost.model_copy(update={"number": 4}))
    (held,) = await registry.facts("held")

    assert held.data["id"] == "orphans/c1"
    assert await registry.running() == {("c1", "web"): "b", ("c1", "api"): "a"}

    await registry.command("approve", hold="orphans/c1", approval=held.data["approval"])

    assert (await registry.running())["c1", "api"] == ""


async def test_a_render_without_the_index_takes_nothing_from_clusters_of_the_hub(registry):
    """I7: after a wiped bus a renderer may know the clusters of git only."""
    await registry.join("c1", labels={"env": "prod"})
    await registry.take(rendered(1, {("c1", "web"): "a"}, version=1))
    before = len(await registry.asked_poller())
    await registry.take(rendered(2, {}, version=0, apps={"web": True}))

    assert await registry.running() == {("c1", "web"): "a"}
    (again,) = (await registry.asked_poller())[before:]
    assert (again.verb, again.arguments) == ("render", {"source": "fleet"})


async def test_clusters_that_join_together_are_rendered_for_together(registry):
    for number in range(20):
        await registry.join(f"c{number}", labels={"env": "prod"})
    await registry.take(rendered(1, {("c1", "web"): "a"}, source="apps"))

    (asked,) = await registry.asked_poller()

    assert (asked.verb, asked.arguments) == ("render", {})
    assert len(await registry.asked_poller()) == 1


places = st.tuples(st.sampled_from(["c1", "c2"]), st.sampled_from(["web", "api"]))
renders = st.tuples(
    st.integers(1, 8),
    st.dictionaries(places, st.sampled_from(["a", "b", "c", FAILED])),
    st.booleans(),
)
steps = st.lists(
    st.one_of(
        renders,
        st.tuples(st.just("report"), places),
        st.tuples(st.just("suspend"), places),
        st.tuples(st.just("resume"), places),
        st.tuples(st.just("approve"), places),
    ),
    max_size=10,
)


@given(steps)
@settings(max_examples=12, deadline=None)
async def test_a03_generations_only_rise_and_nothing_is_signed_twice(history):
    """A03, I5: whatever happens, each target's and each cluster's counters rise with every change of what is signed."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_registry(Path(folder)) as registry:
            await registry.take(rendered(1, {}, part=fleet({"c1": {}, "c2": {}}), apps={}))
            await registry.join("c1", "c2")
            signed, seen = {}, {}
            for step in history:
                await _happen(registry, step)
                for row in await registry.rows(desired):
                    pair = (row["cluster"], row["epoch"], row["generation"])
                    assert signed.setdefault(pair, row["envelope"]) == row["envelope"]
                    assert pair[1:] >= seen.get(row["cluster"], (0, 0))
                    seen[row["cluster"]] = pair[1:]
                    for app, release in (await registry.roster(row["cluster"])).items():
                        pair = (row["cluster"], app, release["epoch"], release["generation"])
                        assert signed.setdefault(pair, release) == release
                        assert pair[2:] >= seen.get(pair[:2], (0, 0))
                        seen[pair[:2]] = pair[2:]
            assert len({row["id"] for row in await registry.rows(outbox)}) == len(await registry.rows(outbox))


async def _happen(registry, step):
    match step:
        case (int() as number, wanted, complete):
            part = fleet({"c1": {}, "c2": {}})
            await registry.take(rendered(number, wanted, part=part, complete=complete))
        case ("report", place) if place in await registry.counters():
            await registry.report(*place)
        case (("suspend" | "resume") as verb, (cluster, app)):
            await registry.command(verb, cluster=cluster, app=app)
        case ("approve", _):
            for row in await registry.rows(holds):
                await registry.command("approve", hold=row["hold"], approval=row["digest"])
