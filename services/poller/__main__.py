"""`python -m services.poller`: the poller alone, told by `TOWLINE_*`."""

import sys

from services.poller.service import serve
from services.poller.settings import PollerSettings
from shared.runtime.program import run_program

if __name__ == "__main__":
    sys.exit(run_program(serve, PollerSettings))
