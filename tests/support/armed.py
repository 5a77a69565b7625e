"""The command `towline`, killing itself as SIGKILL would at a call that the first argument names.

`python -m tests.support.armed '["module:Class:function", COUNT, BEFORE]' run poller`
"""

import importlib
import inspect
import json
import os
import signal
import sys
from functools import wraps


def arm(point, count, before):
    """Let the process die at the `count`-th call of a method, before or after it did its work."""
    module, owner_name, name = point.split(":")
    owner = getattr(importlib.import_module(module), owner_name)
    real, calls = getattr(owner, name), iter(range(1, 1_000_000))

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    @wraps(real)
    async def waiting(*args, **how):
        last = next(calls) == count
        if last and before:
            die()
        result = await real(*args, **how)
        if last:
            die()
        return result

    @wraps(real)
    def blocking(*args, **how):
        last = next(calls) == count
        if last and before:
            die()
        result = real(*args, **how)
        if last:
            die()
        return result

    setattr(owner, name, waiting if inspect.iscoroutinefunction(real) else blocking)


if __name__ == "__main__":
    arm(*json.loads(sys.argv[1]))
    sys.argv = ["towline", *sys.argv[2:]]
    from services.cli.main import main

    main()
