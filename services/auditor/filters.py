"""What lists can be asked for: filters and pages, as query parameters."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.core.canonical import NotJSONError, decode, encode
from shared.core.status import ClusterState, Health, Sync
from shared.errors import PermanentError

MAX_PAGE = 1000
Name = Annotated[str, Field(max_length=63)]
Stage = Literal["rendered", "released", "applied", "healthy"]


class BadCursorError(PermanentError):
    """A cursor is not one that this API gave out."""

    code = "api.bad-cursor"


class Page(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=100, ge=1, le=MAX_PAGE)
    cursor: str = Field(default="", max_length=1000)

    def start(self, keys: int) -> tuple[Any, ...] | None:
        """Return the key of the last row of the page before, or None.

        Raises:
            BadCursorError: the cursor is no list of `keys` texts and numbers.
        """
        return read_cursor(self.cursor, keys) if self.cursor else None


class ClusterFilter(Page):
    """Which clusters."""

    state: ClusterState | None = None
    selector: str = Field(default="", max_length=1000, description="`env=prod,region=eu`")


class AppFilter(Page):
    """Which apps."""

    cluster: Name = ""


class TargetFilter(Page):
    """Which targets."""

    cluster: Name = ""
    app: Name = ""
    sync: Sync | None = None
    health: Health | None = None
    ready: bool | None = None
    commit: str = Field(default="", max_length=64, description="Beginning of the commit that was released")


class RevisionFilter(Page):
    """Which revisions."""

    source: Name = ""
    commit: str = Field(default="", max_length=64, description="Its beginning")


class ReleaseFilter(Page):
    """Which releases."""

    cluster: Name = ""
    app: Name = ""
    commit: str = Field(default="", max_length=64)


class SourceFilter(Page):
    """Which sources; they are few, and come at once."""

    all: bool = False
    """Those that can be had, too."""


class RolloutFilter(Page):
    """Which rollouts."""

    app: Name = ""
    state: str = Field(default="", max_length=63)


class EventFilter(Page):
    """Which events; without `after` the newest first, with it those beyond that position, oldest first."""

    cluster: Name = ""
    app: Name = ""
    source: Name = ""
    types: str = Field(default="", max_length=1000, description="`apply.failed,revision`: whole types or their nouns")
    severity: Literal["", "info", "warning", "error"] = ""
    since: AwareDatetime | None = None
    after: int | None = Field(default=None, ge=0)


class StreamFilter(BaseModel):
    """Where a stream of events begins, when the client does not say `Last-Event-ID`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int | None = Field(default=None, ge=0)
    cluster: Name = ""
    app: Name = ""
    types: str = Field(default="", max_length=1000)


class ProgressFilter(BaseModel):
    """Which targets shall have come how far; lists are separated by commas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage = "applied"
    commits: str = Field(default="", max_length=4000)
    apps: str = Field(default="", max_length=4000)
    clusters: str = Field(default="", max_length=4000)
    since: str = Field(default="", max_length=100, description="`version` of the last answer: wait for a change")
    wait_s: float = Field(default=0, ge=0, le=30)


def listed(text: str) -> list[str]:
    """Return the parts of a list that is separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def cursor_of(*key: Any) -> str:
    """Return the cursor that names a row by its key."""
    return urlsafe_b64encode(encode(list(key))).decode().rstrip("=")


def read_cursor(cursor: str, keys: int) -> tuple[Any, ...]:
    """Return the key that a cursor names.

    Raises:
        BadCursorError: it is no list of `keys` texts and numbers.
    """
    problem = BadCursorError(f"cursor {cursor!r} is none of this API", hint="ask again from the first page")
    try:
        key = decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, NotJSONError) as error:
        raise problem from error
    if not isinstance(key, list) or len(key) != keys or not all(isinstance(part, str | int) for part in key):
        raise problem
    return tuple(key)
