"""Hold the agent's identity while it serves, renew it in time, and find a bus that moved.

The hub renews by an instruction over the bus; where that does not arrive, the agent asks over HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from services.applier.documents import InstructionDocument
from services.applier.enrol import bus_places, renewed
from services.applier.identity import Identity, Place
from services.applier.settings import Pace
from services.applier.verify import trusted_keys
from shared.bus.connection import Bus
from shared.bus.values import Credentials
from shared.errors import TowlineError
from shared.runtime.lifecycle import Lifecycle

ASK_BEFORE_S = 6 * 3600.0
"""A credential lasts 24 h, and the hub sends a new one by itself before it is this old."""

log = structlog.get_logger("services.applier")


class Holder:
    """The identity that counts now."""

    def __init__(self, identity: Identity, place: Place, now: Callable[[], datetime]) -> None:
        self.identity = identity
        self.trust = identity.trust()
        self._place = place
        self._now = now

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
        """Once a minute: ask the hub anew when the credential ends soon or is refused, or when the bus stays away."""
        away = False
        while not life.stopping.is_set():
            left_s = self.identity.expires_in_s(self._now())
            if left_s < ASK_BEFORE_S or bus.refused:
                await self._renew(life, bus, left_s)
            elif away and not bus.connected:
                await self._find(bus)
            away = not bus.connected
            await life.pause(pace.refused_s * random.uniform(1.0, 1.5))  # noqa: S311 - spreads the load

    async def _renew(self, life: Lifecycle, bus: Bus, left_s: float) -> None:
        """Have a new credential by HTTP, which needs no bus."""
        try:
            await self._replace(await renewed(self.identity))
        except TowlineError as error:
            log.warning("credential_not_renewed", code=error.code, error=str(error), ends_in_s=round(left_s))
            life.set_ready("credential", left_s > 0 and not bus.refused, error.message)
            return
        life.set_ready("credential", True)
        bus.move(self.identity.bus)
        bus.renew()

    async def _find(self, bus: Bus) -> None:
        """Ask the hub whether the bus moved."""
        try:
            places = await bus_places(self.identity)
            if places and places != self.identity.bus:
                await self._replace(replace(self.identity, bus=places))
                bus.move(places)
                log.info("bus_moved", places=list(places))
        except TowlineError as error:
            log.info("bus_not_found", code=error.code, error=str(error))

    async def _replace(self, fresh: Identity) -> None:
        trust = fresh.trust()
        trusted_keys(fresh.key_set.encode(), fresh.hub, self.trust.keys)
        await self._place.save(fresh)
        if fresh.user_jwt != self.identity.user_jwt:
            log.info("credential_renewed", expires=fresh.expires)
        self.identity, self.trust = fresh, trust
