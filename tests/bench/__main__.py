"""Run the measurements and print them: `python -m tests.bench [--sizes 10,100] [--rounds 3] [--only travel]`."""

import argparse
import asyncio
import math
import os
from itertools import pairwise

from tests.bench.applier.parts import PARTS, measure
from tests.bench.table import show
from tests.bench.travel import travel
from tests.support import control_plane_build


async def travels(sizes, rounds):
    rows = []
    for count in sizes:
        found = await travel(count, rounds)
        found["ratio"] = found["all_s"] / found["floor_s"]
        rows.append(found)
        show([found])
    for a, b in pairwise(rows):
        exponent = math.log(b["all_s"] / a["all_s"]) / math.log(b["n"] / a["n"])
        print(f"growth {a['n']} -> {b['n']}: exponent {exponent:.2f}")


async def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--sizes", default="10,100,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("travel", "applier"))
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if chosen.only != "applier":
        await travels([int(each) for each in chosen.sizes.split(",")], chosen.rounds)
    if chosen.only != "travel":
        print(control_plane_build.missing())
        if control_plane_build.is_built():
            await measure(PARTS, chosen.rounds)


asyncio.run(main())
