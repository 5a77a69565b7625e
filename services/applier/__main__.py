"""Run the agent alone: `python -m services.applier`, with settings from `TOWLINE_AGENT_*`."""

from __future__ import annotations

import os
import sys

from services.applier.process import run_process
from services.applier.settings import SettingsError, settings_of

EXIT_SETTINGS = 2

if __name__ == "__main__":
    try:
        chosen = settings_of(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_SETTINGS)
    sys.exit(run_process(chosen))
