"""Run the agent alone: `python -m services.applier`, with settings from `TOWLINE_AGENT_*`."""

from __future__ import annotations

import os
import sys

from services.applier.process import EXIT_FAILED, run_process
from services.applier.settings import SettingsError, settings_of

if __name__ == "__main__":
    try:
        chosen = settings_of(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"towline: {error} [{error.code}]\n")
        sys.exit(EXIT_FAILED)
    sys.exit(run_process(chosen))
