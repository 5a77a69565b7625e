"""What agents import from the bus stays small: an agent has 100 MB for everything."""

import subprocess
import sys

HEAVY = ("pydantic", "pydantic_settings", "prometheus_client", "sqlalchemy", "cryptography")
LIGHT = ("connection", "consume", "blobs", "identities", "keys", "values")


def test_what_agents_import_brings_no_heavy_library():
    code = f"""
import sys
for name in {LIGHT!r}:
    __import__("shared.bus." + name)
import shared.runtime.lifecycle
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")
