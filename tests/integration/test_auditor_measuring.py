"""What the auditor measures: each report once, however often it is delivered, and where each cluster stands now."""

from services.auditor import fold
from services.auditor.measuring import Measured
from services.auditor.store import Store
from shared.messages.releases import Membership
from shared.runtime import metrics
from tests.support import line_messages as line


def applies():
    return metrics.REGISTRY.get_sample_value("towline_apply_total", {"result": "succeeded"}) or 0.0


def stands(cluster, membership):
    return metrics.REGISTRY.get_sample_value("towline_cluster_info", {"cluster": cluster, "membership": membership})


def cluster(name, membership, second):
    return line.cluster(name).model_copy(update={"membership": membership, "updated_at": line.at(second)})


async def measuring(store):
    await Measured().begin(store)
    return store


async def test_a_report_that_is_delivered_again_is_counted_once(tmp_path):
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}") as store:
        await measuring(store)
        before = applies()
        for _ in range(2):
            await store.write([fold.of_report(line.report("m1", "web", 1), line.at(3))])

    assert applies() == before + 1


async def test_only_the_newest_standing_of_a_cluster_is_shown(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}"
    async with Store.open(url) as store:
        await measuring(store)
        late = [cluster("m2", Membership.JOINED, 2), cluster("m2", Membership.INVITED, 1)]
        await store.write([fold.of_cluster(each) for each in late])

        assert (stands("m2", "joined"), stands("m2", "invited")) == (1.0, None)

        await store.write([fold.of_cluster(cluster("m2", Membership.REMOVED, 3))])

        assert (stands("m2", "joined"), stands("m2", "removed")) == (None, None)


async def test_an_auditor_that_starts_again_knows_where_clusters_stand(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}"
    async with Store.open(url) as store:
        await store.write([fold.of_cluster(cluster("m3", Membership.JOINED, 1))])

    async with Store.open(url) as store:
        await measuring(store)

    assert stands("m3", "joined") == 1.0
