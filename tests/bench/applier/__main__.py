"""Run the measurements of the agent: `python -m tests.bench.applier [--only near,far,idle,...] [--rounds 5]`."""

import argparse
import asyncio
import sys

from tests.bench.applier.parts import PARTS, measure
from tests.support import control_plane_build

parser = argparse.ArgumentParser(prog="python -m tests.bench.applier")
parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}, with commas between")
parser.add_argument("--rounds", type=int, default=5)
chosen = parser.parse_args()
if why := control_plane_build.missing():
    sys.exit(why)
asyncio.run(measure(chosen.only.split(","), chosen.rounds))
