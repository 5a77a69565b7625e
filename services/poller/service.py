"""The poller as it runs: watches every source, says on the bus what it sees, takes needs and commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from services.poller.charts.fetching import Fetching
from services.poller.charts.keeping import ChartKeeper
from services.poller.charts.web import Web
from services.poller.commands import Commands
from services.poller.credentials import CredentialsFile
from services.poller.fetch import Looker
from services.poller.hooks.receiver import Receiver
from services.poller.hooks.refusals import HookRefusedError
from services.poller.hooks.secret_file import SecretFile
from services.poller.hooks.serving import serving_hooks
from services.poller.keeping import StateStore
from services.poller.observation import republished
from services.poller.permits import Permits, permits_of
from services.poller.publishing import Publisher
from services.poller.renewal import Renewal
from services.poller.rounds import Rounds
from services.poller.settings import PollerSettings
from services.poller.signers import Signers
from services.poller.watcher import StateNotSavedError, Watcher
from shared import subjects
from shared.bus.connection import Bus
from shared.git.remote import TransferLimits
from shared.git.transport import Transport
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.lock import hold_lock
from shared.runtime.logs import get_logger
from shared.runtime.secrets import content_secret

COMMAND_WORKERS = 4
STATE_RETRY_S = 5.0
KEYS = "keys"
_NEEDS = subjects.Durable(subjects.NEEDS, "poller")
_COMMANDS = subjects.Durable(subjects.COMMANDS, "poller", f"{subjects.ROOT}.command.poller.*")


async def serve(settings: PollerSettings, bus: Bus, life: Lifecycle) -> None:
    """Watch the sources until the program stops.

    Raises:
        AlreadyRunningError: another poller works on the same folder.
        MessageError: what is remembered of a source cannot be read.
    """
    with hold_lock(settings.data / "poller.lock", "poller"):
        limits = TransferLimits(
            list_deadline_s=settings.list_deadline_s,
            fetch_deadline_s=settings.fetch_deadline_s,
            fetch_bytes=settings.fetch_bytes,
            fetch_objects=settings.fetch_objects,
            refs=settings.refs,
        )
        permits = permits_of([source.repository for source in settings.sources], settings.allow)
        async with Transport(limits, settings.known_hosts_file) as transport, Web.open(permits) as web:
            poller = await asyncio.to_thread(_Poller, settings, bus, (transport, web), permits)
            await poller.run(life)


class _Poller:
    """All parts of the poller, for one run. Making it blocks."""

    def __init__(self, settings: PollerSettings, bus: Bus, ways: tuple[Transport, Web], permits: Permits) -> None:
        transport, web = ways
        self._bus = bus
        self._store = StateStore(settings.data / "poller")
        rules = settings.rules
        self._watchers = {each.name: Watcher.load(each, self._store, rules(each.name)) for each in settings.sources}
        credentials = CredentialsFile(settings.credentials_file)
        looker = Looker(transport, settings.data / "mirrors", permits, credentials, Signers(settings.signers_folder))
        # A bus is filled by what is seen for the first time; later ones need to be told what they lost.
        self._began_anew = all(watcher.state.number == 0 for watcher in self._watchers.values())
        self._rounds = Rounds(list(self._watchers.values()), looker, settings.interval_s)
        self._renewal = Renewal(credentials, settings.known_hosts_file, self._rounds)
        secret = content_secret(settings.data / KEYS)
        self._publishers = {name: Publisher(each, bus, looker, secret) for name, each in self._watchers.items()}
        fetching = Fetching(web, permits, credentials.for_place)
        charts = settings.data / "charts"
        self._charts = ChartKeeper(self._watchers, fetching, bus, charts, settings.interval_s, secret)
        self._commands = Commands(self._watchers, self._publishers, self._rounds, self._charts, bus)
        self._settings = settings

    async def run(self, life: Lifecycle) -> None:
        """Do everything at once until the program stops."""
        async with self._hooks(), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds.run(life))
            tasks.create_task(self._renewal.run(life))
            tasks.create_task(self._charts.run(life))
            for publisher in self._publishers.values():
                tasks.create_task(publisher.run(life))
            tasks.create_task(self._follow_incarnations(life))
            tasks.create_task(self._bus.consume(_NEEDS, self._commands.take_needs, workers=COMMAND_WORKERS))
            tasks.create_task(self._bus.consume(_COMMANDS, self._commands.take_command, workers=COMMAND_WORKERS))
            tasks.create_task(self._end(life))

    @asynccontextmanager
    async def _hooks(self) -> AsyncIterator[None]:
        """Take webhooks, where somebody wants that."""
        if not self._settings.hooks_listen:
            yield
            return
        secrets = SecretFile(self._settings.hooks_file)
        await _tell_hooks(secrets, self._watchers)
        receiver = Receiver(self._watchers, self._rounds, secrets)
        async with serving_hooks(self._settings.hooks_listen, receiver, self._watchers) as url:
            get_logger().info("hooks_served", url=url)
            if self._settings.announce_hooks is not None:
                self._settings.announce_hooks(url)
            yield

    async def _follow_incarnations(self, life: Lifecycle) -> None:
        """Say everything again to a bus that was made anew."""
        last = await asyncio.to_thread(self._store.incarnation)
        async for present in self._bus.incarnations():
            while present != last and not life.stopping.is_set():
                try:
                    for watcher in self._watchers.values() if last or not self._began_anew else ():
                        await watcher.change(republished)
                    self._charts.wake()
                    await asyncio.to_thread(self._store.save_incarnation, present)
                except (StateNotSavedError, OSError) as error:
                    get_logger().warning("state_not_saved", reason=str(error))
                    await life.pause(STATE_RETRY_S)
                else:
                    last = present
                    get_logger().info("incarnation_filled", incarnation=present)
            life.set_ready("poller", True)

    async def _end(self, life: Lifecycle) -> None:
        """Wake everybody who waits for something to do when the program stops."""
        await life.stopping.wait()
        self._rounds.wake()
        self._charts.wake()
        for watcher in self._watchers.values():
            watcher.changed.set()


async def _tell_hooks(file: SecretFile, sources: Iterable[str]) -> None:
    """Say which sources have a hook: a name that is misspelt in the file of secrets shows nowhere else."""
    try:
        hooks = set(await asyncio.to_thread(file.hooks))
    except HookRefusedError as error:
        get_logger().error("hooks_unusable", code=error.code, reason=error.message)
        return
    known = set(sources)
    get_logger().info(
        "hooks_read",
        file=str(file.path),
        hooks=sorted(hooks & known),
        without=sorted(known - hooks),
        unknown=sorted(hooks - known),
    )
