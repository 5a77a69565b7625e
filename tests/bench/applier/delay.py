"""A proxy on loopback that adds a round trip: `python -m tests.bench.applier.delay PORT SECONDS` prints its own port.

Bytes are passed on late, not slowly: what is sent together arrives together, however much it is.
"""

import asyncio
import sys
from contextlib import asynccontextmanager, suppress

CHUNK = 1 << 16


async def carry(reader, writer, delay_s):
    """Pass on what is read, each piece `delay_s` after it came."""
    loop = asyncio.get_running_loop()

    def passed(data):
        if not writer.is_closing():
            writer.write(data) if data else writer.close()

    with suppress(OSError):
        while data := await reader.read(CHUNK):
            loop.call_later(delay_s, passed, data)
    loop.call_later(delay_s, passed, b"")


async def main(port, delay_s):
    async def connected(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(carry(reader, back, delay_s))
            tasks.create_task(carry(there, writer, delay_s))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def delayed(port, round_trip_s):
    """Yield the port of a proxy to `port`, in a process of its own that ends with the block."""
    arguments = ("-m", "tests.bench.applier.delay", str(port), str(round_trip_s / 2))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
