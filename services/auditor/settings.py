"""What the auditor is told: where it answers, where the ledger is, what it says of the hub's places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, field_validator

from shared.runtime.listening import address_of
from shared.runtime.settings import ServiceSettings, Texts, settings_for


class AuditorSettings(ServiceSettings):
    """Settings of the auditor; from the environment as `TOWLINE_AUDITOR_...`."""

    model_config = settings_for("auditor")

    listen: str = "127.0.0.1:8080"
    """HOST:PORT of API and page; port 0 takes a free one."""
    public_url: str = ""
    """The URL by which people and agents reach the API; by default the address that it listens on."""
    agent_bus_urls: Texts = ()
    """URLs of the bus as agents reach it; by default those that the hub uses itself."""
    database: str = ""
    """SQLAlchemy URL of the ledger; by default SQLite in the data folder."""
    admin_token: Path | None = None
    """The administrator's token; `admin.token` in the data folder by default, made when there is none."""
    identity: Path | None = None
    """Who the hub is, as the releaser writes it; `keys/identity.json` in the data folder by default."""
    announce: Callable[[str], None] | None = Field(default=None, exclude=True)
    """Called with the URL of the API once it answers: for a hub in one process, whose port may be 0."""

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, listen: str) -> str:
        address_of(listen)
        return listen

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return address_of(self.listen)

    @property
    def database_url(self) -> str:
        """Where the ledger is."""
        return self.database or f"sqlite+aiosqlite:///{self.data / 'auditor.db'}"

    @property
    def token_file(self) -> Path:
        """Where the administrator's token stands."""
        return self.admin_token or self.data / "admin.token"

    @property
    def identity_file(self) -> Path:
        """Where the hub's identity stands."""
        return self.identity or self.data / "keys" / "identity.json"
