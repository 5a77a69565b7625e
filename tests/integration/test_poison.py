"""A16, A17, A18: the whole poison corpus, on engines alone and on a renderer behind a real bus.

Each app fails alone with a code, nothing that it must not see gets into a bundle, nobody is called, and what comes next renders.
"""

import asyncio
import resource

import pytest

from services.renderer.engines import Engines
from services.renderer.sandbox import Limits
from tests.support.listening import listener
from tests.support.poison import CANARY, CORPUS, REFUSED, files_of, outside
from tests.support.renderer_line import line
from tests.support.rendering import config_map, outcome, plain

MEMORY = 512 << 20
LIMITS = Limits(wall_s=4, cpu_s=4, memory_bytes=MEMORY)
# What Python and the libraries take before a job begins, and pages that count for parent and child.
SLACK = 256 << 20
LARGE = 1_000_000


def is_expected(name, code):
    """Tell whether an app of the corpus may end so."""
    codes = CORPUS[name].codes
    return code != "rendered" if codes is REFUSED else code in codes


def errors_of(problems):
    """Yield the codes of what is wrong; apps of the corpus that render bring the same objects, which is a warning."""
    return (each.code for each in problems if each.severity == "error")


@pytest.mark.slow
async def test_each_poisonous_app_fails_alone_and_gives_nothing_away(tmp_path):
    """S1, S2, S3, S4, S5, S21: with what each may take, what it may see and whom it may call."""
    out, wrong = outside(tmp_path / "outside"), {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listener() as (port, hits), Engines(LIMITS, workers=2, folder=tmp_path) as engines:

        async def one(name):
            code, told = await outcome(engines, files_of(name, port=port, out=out))
            if not is_expected(name, code) or CANARY in told:
                wrong[name] = (code, told[:300])

        async with asyncio.TaskGroup() as tasks:
            for name in CORPUS:
                tasks.create_task(one(name))
        next_one = await engines.render(plain({"a.yaml": config_map()}))

    assert wrong == {}
    assert len(CORPUS) >= 60
    assert hits == []
    assert len(next_one) == 1
    assert not (out / "touched").exists()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < SLACK
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10 < MEMORY + SLACK


@pytest.mark.slow
async def test_a_renderer_records_each_once_and_renders_the_next_commit(bus_server, tmp_path, local_git):
    """I2, I8: the corpus as apps of one commit, beside a good one; then a commit without it."""
    out, apps, tree = outside(tmp_path / "outside"), {}, {}
    async with listener() as (port, hits):
        for number, name in enumerate(CORPUS):
            files = files_of(name, port=port, out=out)
            if sum(map(len, files.values())) < LARGE:
                apps[f"p{number}"] = name
                prefix = f"apps/p{number}"
                tree |= {f"{prefix}/{path}": content for path, content in files.items()}
        good = {
            "fleet.yaml": "version: 1\n",
            "clusters/a.yaml": "clusters: [{name: c}]\n",
            "apps/good/a.yaml": config_map(),
        }
        poisoned = local_git.commit("fleet", {**tree, **good})
        source = f"fleet={local_git.path('fleet')}"
        async with line(
            bus_server, tmp_path, source, deadline_s=600, wall_s=4, memory_bytes=MEMORY, workers=2
        ) as renders:
            async with asyncio.timeout(400):
                rendered = await renders.rendered.get()
            listing = await renders.listing(rendered)
            mended = local_git.commit("fleet", {"apps/good/b.yaml": config_map("b")})
            async with asyncio.timeout(400):
                following = await renders.rendered.get()

    told = [(each.app, next(errors_of(each.problems), "rendered")) for each in listing.targets]
    refused = {each.app: code for each in listing.problems if each.app for code in errors_of([each])}
    codes = {**refused, **dict(told)}
    assert rendered.commit == poisoned
    assert len({app for app, _ in told}) == len(told)
    assert codes.pop("good") == "rendered"
    assert {app: code for app, code in codes.items() if not is_expected(apps[app], code)} == {}
    assert set(codes) == set(apps)
    assert hits == []
    assert following.commit == mended
