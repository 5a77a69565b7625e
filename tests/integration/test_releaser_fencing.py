"""Fences of the fleet become part of what is signed: over a real database, without a bus."""

from shared.messages.renders import ProjectPart
from tests.support.releaser import fleet, rendered

SHOP = ProjectPart(namespaces=("shop", "shop-*"), run_as="shop-deployer")


def of_project(message, name):
    """Return the render with all its apps in a project."""
    apps = tuple(each.model_copy(update={"project": name}) for each in message.listing.apps)
    return message.model_copy(update={"listing": message.listing.model_copy(update={"apps": apps})})


async def test_the_fence_is_signed_for_apps_of_any_source(registry):
    """O4: only the fleet source declares projects, and an app that names an unknown one is not released."""
    part = fleet({"c1": {}}).model_copy(update={"projects": {"shop": SHOP}})
    await registry.join("c1")
    await registry.take(rendered(1, {("c1", "web"): "a"}, part=part))
    await registry.take(of_project(rendered(1, {("c1", "api"): "b"}, source="shop"), "shop"))
    await registry.take(of_project(rendered(1, {("c1", "raw"): "c"}, source="raw"), "shed"))
    roster = await registry.roster("c1")
    (refused,) = await registry.facts("app-refused")

    assert sorted(roster) == ["api", "web"]
    assert roster["api"]["options"]["fence"]["namespaces"] == ["shop", "shop-*"]
    assert roster["api"]["options"]["runAs"] == "shop-deployer"
    assert "fence" not in roster["web"]["options"]
    assert (refused.app, refused.data["code"]) == ("raw", "fleet.unknown-project")
