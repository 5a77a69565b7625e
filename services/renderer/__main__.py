"""`python -m services.renderer`: the renderer alone, told by `TOWLINE_*`."""

import sys

from services.renderer.service import serve
from services.renderer.settings import RendererSettings
from shared.runtime.program import run_program

if __name__ == "__main__":
    sys.exit(run_program(serve, RendererSettings))
