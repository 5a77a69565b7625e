"""Hold the agent's identity while it serves, and have it renewed in time: by the hub's instruction, else by asking."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from services.applier.documents import InstructionDocument
from services.applier.enrol import HubUnreachableError, RefusedByHubError, renewed
from services.applier.identity import Identity, Place
from services.applier.settings import Pace
from services.applier.verify import RefusedError, trusted_keys
from shared.bus.connection import Bus
from shared.bus.values import Credentials
from shared.errors import TowlineError
from shared.runtime.lifecycle import Lifecycle

ASK_BEFORE_S = 6 * 3600.0
"""A credential lasts 24 h, and the hub sends a new one by itself before it is this old."""

log = structlog.get_logger("services.applier")


class Holder:
    """The identity that counts now."""

    def __init__(self, identity: Identity, place: Place) -> None:
        self.identity = identity
        self.trust = identity.trust()
        self._place = place

    def bus_credentials(self) -> Credentials:
        """Return what the bus is shown now."""
        return self.identity.bus_credentials()

    async def take(self, told: InstructionDocument) -> None:
        """Take the credential that a verified instruction brings.

        Raises:
            RefusedError: the key set with it is not of this hub, or older.
            TowlineError: it cannot be kept.
        """
        await self._replace(self.identity.renewed(told.arguments))

    async def keep_valid(self, life: Lifecycle, bus: Bus, pace: Pace) -> None:
        """Ask the hub for a new credential when the present one ends soon, once a minute at most."""
        while not life.stopping.is_set():
            left_s = self.identity.expires_in_s(datetime.now(UTC))
            if left_s > ASK_BEFORE_S:
                await life.pause(min(left_s - ASK_BEFORE_S, 3600.0))
                continue
            try:
                await self._replace(await renewed(self.identity))
                bus.renew()
            except (HubUnreachableError, RefusedByHubError, RefusedError) as error:
                log.warning("credential_not_renewed", code=error.code, error=str(error), ends_in_s=round(left_s))
                life.set_ready("credential", left_s > 0, error.message)
            except TowlineError as error:
                log.warning("credential_not_kept", code=error.code, error=str(error))
            await life.pause(pace.refused_s)

    async def _replace(self, fresh: Identity) -> None:
        trust = fresh.trust()
        trusted_keys(fresh.key_set.encode(), fresh.hub, self.trust.keys)
        await self._place.save(fresh)
        self.identity, self.trust = fresh, trust
        log.info("credential_renewed", expires=fresh.expires)
