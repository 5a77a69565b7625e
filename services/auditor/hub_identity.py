"""Who this hub is, as the releaser wrote it down; read again when the file changes, since keys are renewed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.auditor.api.steering import HubIdentity
from shared.errors import TransientError
from shared.runtime.lifecycle import Lifecycle

LOOK_S = 0.1


class NoIdentityError(TransientError):
    """The hub's identity is not there, or cannot be read."""

    code = "hub.no-identity"


@dataclass(slots=True)
class IdentityFile:
    """The file at `path`."""

    path: Path
    _stamp: tuple[int, int] | None = None
    _known: HubIdentity | None = None

    def read(self) -> HubIdentity:
        """Return the identity. Blocks for a moment.

        Raises:
            NoIdentityError: it is not there yet, or malformed.
        """
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._known is None or stamp != self._stamp:
                self._known = HubIdentity.model_validate_json(self.path.read_bytes())
                self._stamp = stamp
        except (OSError, ValidationError) as error:
            raise NoIdentityError(
                f"the hub's identity cannot be read from {self.path}",
                hint="the releaser writes it when it starts; see whether it runs",
            ) from error
        return self._known

    async def wait(self, life: Lifecycle) -> HubIdentity | None:
        """Return the identity as soon as it is there; None when the program stops before."""
        while True:
            try:
                return await asyncio.to_thread(self.read)
            except NoIdentityError as error:
                life.set_ready("identity", False, error.message)
            if await life.pause(LOOK_S):
                return None
