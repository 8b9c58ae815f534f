"""What can be between a client and PostgreSQL: a network connection that breaks, and a proxy that pools transactions.

Both implement as much of the protocol (PostgreSQL 18, chapter 54) as they need to see where a message or transaction
ends.
"""

import asyncio
import contextlib
import struct
import urllib.parse
from contextlib import asynccontextmanager

SSL_REQUEST = 80877103
READY_FOR_QUERY = b"Z"
IDLE = b"I"
ENDS_A_REQUEST = (b"Q", b"S")  # Query, Sync: each is answered by one ReadyForQuery
TERMINATE = b"X"


async def read_message(reader):
    """Reads one message: its type and all of its bytes."""
    kind = await reader.readexactly(1)
    length = await reader.readexactly(4)
    return kind, kind + length + await reader.readexactly(struct.unpack("!I", length)[0] - 4)


async def read_startup(reader, writer):
    """Reads the first message, which has no type. Declines a request for TLS before it."""
    while True:
        length = await reader.readexactly(4)
        rest = await reader.readexactly(struct.unpack("!I", length)[0] - 4)
        if struct.unpack("!I", rest[:4])[0] != SSL_REQUEST:
            return length + rest
        writer.write(b"N")


@asynccontextmanager
async def listening(url, serve):
    """The URL of a proxy in front of ``url``. It runs ``serve(reader, writer, server's address)`` for each client."""
    parts = urllib.parse.urlsplit(url)
    clients = set()

    async def client(reader, writer):
        task = asyncio.current_task()
        clients.add(task)
        try:
            # cancelled at the end: asyncio.streams reports a cancelled task as an error
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer, (parts.hostname, parts.port))
        finally:
            clients.discard(task)
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    finally:
        server.close()
        for task in clients:
            task.cancel()
        if clients:
            await asyncio.wait(clients)


class Line:
    """A connection that breaks when a message contains ``break_at``: before the server gets it, or after it ran."""

    def __init__(self):
        self.break_at = None
        self.obey = False
        self.sent = []
        """What each connection has sent to the server."""

    async def serve(self, reader, writer, address):
        self.sent.append(sent := [])
        server_reader, server_writer = await asyncio.open_connection(*address)
        server_writer.write(await read_startup(reader, writer))
        answers = asyncio.create_task(pump(server_reader, writer))
        try:
            while True:
                kind, message = await read_message(reader)
                sent.append(message)
                if self.break_at is not None and self.break_at in message:
                    answers.cancel()
                    await asyncio.wait([answers])
                    if self.obey:
                        server_writer.write(message)
                        while kind != READY_FOR_QUERY:
                            kind, _ = await read_message(server_reader)
                    return
                server_writer.write(message)
        finally:
            answers.cancel()
            await asyncio.wait([answers])
            server_writer.close()


async def pump(reader, writer):
    """Forwards data, and at the end closes the connection."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


class Pooler:
    """Gives each transaction a different server connection, as PgBouncer does with pool_mode=transaction."""

    def __init__(self):
        self.idle = asyncio.Queue()  # first in, first out, so that no connection is used twice in a row
        self.lent = 0

    async def serve(self, reader, writer, address):
        """Each client adds one connection under its own name. Then it gets the connection that is idle the longest."""
        self.idle.put_nowait(await self.introduce(reader, writer, address))
        asked = asyncio.create_task(read_message(reader))
        try:
            while (await asked)[0] != TERMINATE:
                server = await self.idle.get()
                self.lent += 1
                try:
                    asked = await self.run_transaction(asked, reader, writer, server)
                except BaseException:
                    server[1].close()
                    raise
                self.idle.put_nowait(server)
        finally:
            asked.cancel()
            await asyncio.wait([asked])

    async def introduce(self, reader, writer, address):
        """Logs a client in. Its SASL messages alternate with the server's."""
        server_reader, server_writer = await asyncio.open_connection(*address)
        server_writer.write(await read_startup(reader, writer))
        kind = None
        while kind != READY_FOR_QUERY:
            kind, message = await read_message(server_reader)
            writer.write(message)
            if kind == b"R" and struct.unpack("!I", message[5:9])[0] in {10, 11}:
                server_writer.write((await read_message(reader))[1])
        return server_reader, server_writer

    async def run_transaction(self, asked, reader, writer, server):
        """Forwards messages until the server is idle and has answered everything. Returns the next message."""
        server_reader, server_writer = server
        answered = asyncio.create_task(read_message(server_reader))
        unanswered = 0
        try:
            while True:
                await asyncio.wait([asked, answered], return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    kind, message = asked.result()
                    unanswered += kind in ENDS_A_REQUEST
                    server_writer.write(message)
                    asked = asyncio.create_task(read_message(reader))
                if answered.done():
                    kind, message = answered.result()
                    unanswered -= kind == READY_FOR_QUERY
                    writer.write(message)
                    if kind == READY_FOR_QUERY and message[5:6] == IDLE and not unanswered:
                        return asked
                    answered = asyncio.create_task(read_message(server_reader))
        except BaseException:
            asked.cancel()
            raise
        finally:
            answered.cancel()
            await asyncio.wait([answered])

    def close(self):
        while not self.idle.empty():
            self.idle.get_nowait()[1].close()
