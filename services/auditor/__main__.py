"""`python -m services.auditor`: the auditor alone, told by `TOWLINE_*`."""

import sys

from services.auditor.service import serve
from services.auditor.settings import AuditorSettings
from shared.runtime.program import run_program

if __name__ == "__main__":
    sys.exit(run_program(serve, AuditorSettings))
