"""What the poller remembers about a source; what must still be published is part of it."""

from __future__ import annotations

from services.poller.chains import Chain
from shared.messages.base import Message, Part, Timestamp
from shared.messages.blobs import BlobRef
from shared.messages.facts import Fact
from shared.messages.sources import Revision, Verify


class Failing(Part):
    """Why a repository or a ref cannot be had, and since when."""

    code: str
    message: str
    hint: str = ""
    since: Timestamp


class Followed(Part):
    """One ref of one repository that a source follows."""

    repository: str
    """The URL as it was asked for."""
    asked_ref: str
    revision: Revision | None = None
    """The tip observed last; it stays when the ref cannot be had any more."""
    chain: Chain | None = None
    """The packs that are on the bus for it."""
    failing: Failing | None = None
    verify: tuple[Verify, ...] = ()
    """Whose signatures its commits must carry; all of these count."""
    verified: str = ""
    """The rules that the tip passed."""

    @property
    def key(self) -> tuple[str, str]:
        """What distinguishes it within its source."""
        return self.repository, self.asked_ref


class FollowedChart(Part):
    """One archive of a chart that a fleet's lock names."""

    url: str
    digest: str
    """Sha256 in hex."""
    blob: BlobRef | None = None
    """Where it is on the bus."""
    failing: Failing | None = None


class Outgoing(Part):
    """A message that must reach the bus: exactly one of its fields is set."""

    revision: Revision | None = None
    fact: Fact | None = None


class SourceState(Message):
    """Everything durable about one source."""

    number: int = 0
    """Of the last observation or request; it never falls."""
    main: Followed
    others: tuple[Followed, ...] = ()
    charts: tuple[FollowedChart, ...] = ()
    needs_number: int = 0
    """Of the request that the last statement of needs answered."""
    outbox: tuple[Outgoing, ...] = ()
    """In the order of publication; all of it comes before the request."""
    request_number: int = 0
    request_reason: str = ""
    """Not empty: a request with `request_number` must be published."""

    @property
    def followed(self) -> tuple[Followed, ...]:
        """Everything that the source follows."""
        return (self.main, *self.others)
