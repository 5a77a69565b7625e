"""What the releaser is told: where its database is, and where agents find hub and bus."""

from __future__ import annotations

import json
from pathlib import Path

from shared.runtime.settings import ServiceSettings, Texts, settings_for


class ReleaserSettings(ServiceSettings):
    """Settings of the releaser; from the environment as `TOWLINE_RELEASER_...`."""

    model_config = settings_for("releaser")

    database: str = ""
    """SQLAlchemy URL; empty: SQLite in the data folder."""
    hub_url: str = ""
    """Where agents reach the hub by HTTP; empty: what `hub.json` in the data folder says."""
    agent_bus_urls: Texts = ()
    """Where agents reach the bus; empty: where the hub's programs do."""
    tick_s: float = 5.0
    """Seconds between two looks at what time alone changes: suspensions that end, clusters that say nothing."""
    garbage_interval_s: float = 600.0
    """Seconds between two collections of content that nothing names, and of credentials that end soon."""

    @property
    def database_url(self) -> str:
        """Return where the database is."""
        return self.database or f"sqlite+aiosqlite:///{self.data / 'releaser.db'}"

    @property
    def keys(self) -> Path:
        """Return the folder of the hub's keys."""
        return self.data / "keys"

    def url_of_hub(self) -> str:
        """Return where agents reach the hub, as far as it is known by now."""
        if self.hub_url:
            return self.hub_url
        try:
            told = json.loads((self.data / "hub.json").read_text("utf-8"))
            return str(told["http"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
