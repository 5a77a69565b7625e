"""Measure rendering: `python -m tests.bench.render [--only targets|yaml] [--sizes 1,100,1000] [--rounds 3]`."""

import argparse
import asyncio
import os

from tests.bench.render import targets, yaml_speed

parser = argparse.ArgumentParser(prog="python -m tests.bench.render")
parser.add_argument("--only", choices=("targets", "yaml"))
parser.add_argument("--sizes", default=",".join(map(str, targets.SIZES)))
parser.add_argument("--rounds", type=int, default=3)
chosen = parser.parse_args()
print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
if chosen.only != "targets":
    yaml_speed.measure()
if chosen.only != "yaml":
    asyncio.run(targets.measure([int(each) for each in chosen.sizes.split(",")], chosen.rounds))
