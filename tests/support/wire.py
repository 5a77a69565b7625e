"""The wire between a client and a server, for tests that cut it, slow it down, or let it go dead without a word."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK_BYTES = 1 << 16


class _CutError(Exception):
    """The connection ends here."""


@dataclass(eq=False)
class _Line:
    """One connection."""

    dead: bool = False
    """It stays open and carries nothing."""


@dataclass
class Wire:
    """A port on loopback that leads to another."""

    target: int
    port: int = 0
    delay_s: float = 0.0
    """What each piece of an answer waits."""
    cuts: int = 0
    """So many answers to come end in the middle."""
    _lines: set[_Line] = field(default_factory=set)

    def go_dead(self):
        """Let every connection that exists go half-open: neither side hears of it."""
        for line in self._lines:
            line.dead = True

    async def carry(self, reader, writer):
        """Carry one connection until an end closes it."""
        line = _Line()
        self._lines.add(line)
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, back, line))
                tasks.create_task(self._pump(there, writer, line, answers=True))
        except* (OSError, _CutError):
            pass
        finally:
            self._lines.discard(line)
            for each in (back, writer):
                each.transport.abort()

    async def _pump(self, source, sink, line, *, answers=False):
        while data := await source.read(CHUNK_BYTES):
            if line.dead:
                continue
            if answers and self.delay_s:
                await asyncio.sleep(self.delay_s)
            cut = answers and self.cuts > 0
            sink.write(data[: len(data) // 2] if cut else data)
            await sink.drain()
            if cut:
                self.cuts -= 1
                raise _CutError
        if not line.dead:
            raise _CutError


@asynccontextmanager
async def wire_to(port):
    """Yield a wire to a port on loopback."""
    wire = Wire(port)
    async with asyncio.TaskGroup() as tasks:

        def connected(reader, writer):
            carrying.append(tasks.create_task(wire.carry(reader, writer)))

        carrying = []
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        wire.port = server.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            server.close()
            for each in carrying:
                each.cancel()
