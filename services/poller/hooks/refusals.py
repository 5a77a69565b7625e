"""Why a delivery is not taken, and what a forge is answered then."""

from __future__ import annotations

from shared.errors import PermanentError

STATUS = {
    "hook.malformed": 400,
    "hook.unauthentic": 401,
    "hook.unknown": 404,
    "hook.too-slow": 408,
    "hook.too-large": 413,
    "hook.too-many": 429,
    "hook.busy": 503,
    "hook.secrets": 503,
}


class HookRefusedError(PermanentError):
    """A delivery is refused; `code` is one of `STATUS`."""

    code = "hook.malformed"
