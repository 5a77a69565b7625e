"""Run the measurements and print them: `python -m tests.bench [--sizes 10,100] [--rounds 3] [--only travel]`."""

import argparse
import asyncio
import math
import os
from itertools import pairwise

from tests.bench.memory import memory
from tests.bench.travel import travel


def show(rows):
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    for row in rows:
        cells = [f"{row[each]:.3g}" if isinstance(row[each], float) else str(row[each]) for each in columns]
        print("| " + " | ".join(cells) + " |", flush=True)


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
    parser.add_argument("--only", choices=("travel", "memory"))
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if chosen.only != "travel":
        for way in ("towline agent run", "python -m services.applier"):
            show([{"agent": way, **await memory(way)}])
    if chosen.only != "memory":
        await travels([int(each) for each in chosen.sizes.split(",")], chosen.rounds)


asyncio.run(main())
