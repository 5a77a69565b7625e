"""The floor: what no design goes below. One bundle is published, then a head for each of N plain subscribers, which
fetch the bundle by direct get, check its digest and unpack it.

Run as a child of its own (`python -m tests.bench.floor N ROUNDS`), it prints the seconds of each round as JSON. The
server is the same binary, without accounts; the subscribers share one process, as the agents of the line do.
"""

import asyncio
import hashlib
import json
import socket
import sys
import tempfile
import time

import nats
import orjson
import zstandard
from nats.js.api import StreamConfig

OBJECTS = 4
AT_ONCE = 50


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def bundle(text):
    lines = [
        orjson.dumps({"kind": "ConfigMap", "metadata": {"name": f"marker-{each}"}, "data": {"text": text}})
        for each in range(OBJECTS)
    ]
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))


async def quiet(_error):
    """The server is not up yet, or is gone already."""


class Subscriber:
    def __init__(self, number, arrived):
        self.number, self.arrived = number, arrived

    async def start(self, url, limit):
        async with limit:
            self.client = await nats.connect(url, error_cb=quiet)
            self.stream = self.client.jetstream()
            await self.client.subscribe(f"heads.{self.number}", cb=self.head)
            await self.client.flush()

    async def head(self, message):
        digest = message.data.decode()
        found = await self.stream.get_last_msg("FLOOR", f"blob.{digest}", direct=True)
        assert hashlib.sha256(found.data).hexdigest() == digest
        zstandard.ZstdDecompressor().decompress(found.data)
        self.arrived()


async def one_round(hub, number, count, waiting):
    data = bundle(f"round {number}")
    digest = hashlib.sha256(data).hexdigest()
    waiting.reset(count)
    started = time.monotonic()
    stream = hub.jetstream()
    await stream.publish(f"blob.{digest}", data)
    for each in range(count):
        await hub.publish(f"heads.{each}", digest.encode())
    await hub.flush()
    await waiting.done.wait()
    return time.monotonic() - started


class Waiting:
    def __init__(self):
        self.left, self.done = 0, asyncio.Event()

    def reset(self, count):
        self.left = count
        self.done.clear()

    def arrived(self):
        self.left -= 1
        if self.left == 0:
            self.done.set()


async def main(count, rounds):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder, "-l", f"{folder}/log")
        server = await asyncio.create_subprocess_exec(f"{sys.prefix}/bin/nats-server", *arguments)
        try:
            url, waiting = f"nats://127.0.0.1:{port}", Waiting()
            hub = await nats.connect(url, max_reconnect_attempts=50, reconnect_time_wait=0.1, error_cb=quiet)
            subjects = ["blob.*", "heads.*"]
            await hub.jetstream().add_stream(StreamConfig("FLOOR", subjects=subjects, allow_direct=True))
            limit = asyncio.Semaphore(AT_ONCE)
            subscribers = [Subscriber(each, waiting.arrived) for each in range(count)]
            async with asyncio.TaskGroup() as tasks:
                for each in subscribers:
                    tasks.create_task(each.start(url, limit))
            print(json.dumps([await one_round(hub, each, count, waiting) for each in range(rounds + 1)][1:]))
        finally:
            server.terminate()
            await server.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
