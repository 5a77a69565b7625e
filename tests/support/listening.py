"""A server on loopback that counts who comes, and sends them on to another address if they ask for it."""

import asyncio
from contextlib import asynccontextmanager

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def listener():
    """Give the port of the server, and the list that each visit is added to."""
    hits = []

    async def count(_, writer):
        hits.append(1)
        writer.write(REDIRECT)
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], hits
