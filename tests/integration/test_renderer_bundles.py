"""Bundles on a real bus: rendered once, stored once, back from the disk when the bus lost them."""

import asyncio

from services.renderer.bundles import Bundles
from services.renderer.cache import RenderCache
from services.renderer.engines import Engines
from services.renderer.sandbox import Limits
from shared import subjects
from shared.bus.blobs import blob_place, fetch_blob, has_blob
from shared.core.bundles import objects_of
from shared.core.seal import decompressed, unseal
from tests.support.rendering import config_map, plain

SECRET = b"s" * 32


async def fetched(bus, outcome):
    """Return objects and keys as a reader of the bus finds them."""
    bundle = outcome.bundle
    sealed = await fetch_blob(bus, blob_place(subjects.SHARED), bundle.blob, limit_bytes=1 << 20)
    data = b"".join(unseal(sealed, bytes.fromhex(bundle.blob.key), 1 << 20))
    listed = await fetch_blob(bus, blob_place(subjects.HUB), bundle.keys, limit_bytes=1 << 20)
    return list(objects_of(data.splitlines())), b"".join(decompressed(listed, 1 << 20)).decode().split("\n")


async def test_a_bundle_is_on_the_bus_sealed_with_its_list_of_keys(bus_server, engines, tmp_path):
    async with bus_server.bus("renderer") as bus:
        bundles = Bundles(engines, RenderCache(tmp_path), bus, SECRET)
        one, other = plain({"a.yaml": config_map("a")}), plain({"other/a.yaml": config_map("a")})
        outcomes = await bundles.of("fleet", [one, other, one])
        objects, keys = await fetched(bus, outcomes[one.key])

        assert [each["metadata"]["name"] for each in objects] == ["a"]
        assert keys == ["/ConfigMap:shop/a"]
        assert outcomes[one.key].bundle == outcomes[other.key].bundle


async def test_a_failing_target_fails_alone(bus_server, engines, tmp_path):
    """I8."""
    async with bus_server.bus("renderer") as bus:
        bundles = Bundles(engines, RenderCache(tmp_path), bus, SECRET)
        good, bad = plain({"a.yaml": config_map("a")}), plain({"b.yaml": "a: ["})
        outcomes = await bundles.of("fleet", [good, bad])

        assert outcomes[good.key].bundle
        assert outcomes[bad.key].bundle is None
        assert [(each.file, each.app) for each in outcomes[bad.key].findings] == [("b.yaml", "web")]


async def test_unchanged_inputs_are_not_rendered_again_after_a_restart(bus_server, engines, tmp_path):
    inputs = plain({"a.yaml": config_map("a")})
    async with bus_server.bus("renderer") as bus:
        before = await Bundles(engines, RenderCache(tmp_path), bus, SECRET).of("fleet", [inputs])
        # No child of these engines would get anything done.
        async with Engines(Limits(wall_s=0)) as broken:
            after = await Bundles(broken, RenderCache(tmp_path), bus, SECRET).of("fleet", [inputs])

        assert after == before


async def test_what_the_bus_lost_comes_back_from_the_disk_else_is_rendered_anew(bus_server, engines, tmp_path):
    """A13: a bus that was wiped, or a blob that was purged."""
    inputs = plain({"a.yaml": config_map("a")})
    place = blob_place(subjects.SHARED)
    async with bus_server.bus("renderer") as bus, bus_server.bus("steward") as steward:
        bundles = Bundles(engines, RenderCache(tmp_path), bus, SECRET)
        before = await bundles.of("fleet", [inputs])
        blob = before[inputs.key].bundle.blob
        for damage in (False, True):
            await steward.purge(subjects.BLOBS, f"{subjects.ROOT}.blob.>")
            if damage:
                await asyncio.to_thread((tmp_path / "blobs" / blob.digest).write_bytes, b"damaged")
            assert not await has_blob(bus, place, blob)
            bundles.forget_presence()

            assert await bundles.of("fleet", [inputs]) == before
            assert await has_blob(bus, place, blob)


async def test_what_left_a_source_and_comes_back_is_looked_for_on_the_bus(bus_server, engines, tmp_path):
    """The releaser clears away what no release names any more."""
    one, two = plain({"a.yaml": config_map("a")}), plain({"a.yaml": config_map("b")})
    async with bus_server.bus("renderer") as bus, bus_server.bus("steward") as steward:
        bundles = Bundles(engines, RenderCache(tmp_path), bus, SECRET)
        blob = (await bundles.of("fleet", [one]))[one.key].bundle.blob
        await bundles.of("fleet", [two])
        await steward.purge(subjects.BLOBS, f"{subjects.ROOT}.blob.shared.{blob.digest}.*")
        await bundles.of("fleet", [one])

        assert await has_blob(bus, blob_place(subjects.SHARED), blob)


async def test_a_poisonous_target_costs_its_time_three_times_and_then_nothing(bus_server, tmp_path):
    """F25."""
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    poison = plain({"a.yaml": config_map(text=loop)}, template="jinja", values={"cluster": {}})
    async with bus_server.bus("renderer") as bus, Engines(Limits(wall_s=0.3), workers=1) as engines:
        bundles = Bundles(engines, RenderCache(tmp_path), bus, SECRET)
        codes = [(await bundles.of("fleet", [poison]))[poison.key].findings[0].code for _ in range(4)]
        started = engines.children_started
        await bundles.of("fleet", [poison])

        assert set(codes) == {"render.timeout"}
        assert (started, engines.children_started) == (3, 3)
