"""Notice that the hub's owner renewed a credential or a key, so that what was refused is tried again at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.poller.credentials import CredentialsFile, CredentialsFileError
from services.poller.rounds import Rounds
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

EVERY_S = 1.0
CODES = frozenset({"source.auth", "source.host-key"})
"""What other credentials or keys of hosts could mend."""

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Renewal:
    """Watches the file of credentials, the keys that it names, and the keys of hosts."""

    credentials: CredentialsFile
    known_hosts: Path
    rounds: Rounds

    async def run(self, life: Lifecycle) -> None:
        """Watch until the program stops."""
        last = await asyncio.to_thread(self._stamp)
        while not await life.pause(EVERY_S):
            now = await asyncio.to_thread(self._stamp)
            if now != last:
                last = now
                get_logger().info("credentials_changed", tried_again=self.rounds.retry(CODES))

    def _stamp(self) -> Stamp:
        try:
            keys = self.credentials.key_files()
        except CredentialsFileError:
            keys = []
        return tuple(_stamps([self.credentials.path, self.known_hosts, *keys]))


def _stamps(paths: Iterable[Path]) -> Iterable[tuple[str, int, int, int]]:
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        yield str(path), found.st_mtime_ns, found.st_size, found.st_ino
