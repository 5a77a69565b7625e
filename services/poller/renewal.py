"""Notice that the hub's owner renewed a credential or a key, so that what was refused is tried again at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.poller.credentials import CredentialsFile, CredentialsFileError
from services.poller.rereading import Stamp, stamp_of
from services.poller.rounds import Rounds
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

EVERY_S = 1.0
CODES = frozenset({"source.auth", "source.host-key"})
"""What other credentials or keys of hosts could mend."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """Watches the file of credentials, the keys that it names, and the keys of hosts."""

    credentials: CredentialsFile
    known_hosts: Path
    rounds: Rounds

    async def run(self, life: Lifecycle) -> None:
        """Watch until the program stops."""
        last = await asyncio.to_thread(self._stamps)
        while not await life.pause(EVERY_S):
            now = await asyncio.to_thread(self._stamps)
            if now != last:
                last = now
                get_logger().info("credentials_changed", tried_again=self.rounds.retry(CODES))

    def _stamps(self) -> dict[Path, Stamp]:
        try:
            keys = self.credentials.key_files()
        except CredentialsFileError:
            keys = []
        found: dict[Path, Stamp] = {}
        for path in (self.credentials.path, self.known_hosts, *keys):
            with suppress(OSError):
                found[path] = stamp_of(path)
        return found
