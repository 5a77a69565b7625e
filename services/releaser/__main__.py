"""`python -m services.releaser`: the releaser alone, told by `TOWLINE_*`."""

import sys

from services.releaser.service import serve
from services.releaser.settings import ReleaserSettings
from shared.runtime.program import run_program

if __name__ == "__main__":
    sys.exit(run_program(serve, ReleaserSettings))
