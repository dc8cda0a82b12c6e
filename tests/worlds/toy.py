"""A small RESP server on plain asyncio, so that the worlds are tested on their own.

Beside what a client needs it knows ASK HOST PORT WORD ..., which asks another node and passes on
its answer, and KEEP, which writes its data to disk, where its next run finds it.
"""

import asyncio
from collections.abc import Iterator

ASK_SECONDS = 0.5


class Toy:
    """Enough of Redis for a client's handshake, strings, a counter and pub/sub."""

    def __init__(self, file, environment):
        lines = environment.disk.read(file).decode().splitlines()
        self.config = dict(line.split(" ", 1) for line in lines)
        self.environment = environment
        self.data = {}
        self.subscribers = {}
        self.sessions = {}
        self.ticks = 0
        self.servers = []
        self.tasks = set()

    async def start(self):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Session(self), self.config["bind"], int(self.config["port"])
        )
        self.servers.append(server)
        self.file = f"{self.environment.directory}/toy.data"
        if self.environment.disk.size(self.file) is not None:
            kept = self.environment.disk.open(self.file, "read").read(65536)
            self.data = dict(line.split(b" ", 1) for line in kept.splitlines())
        self.environment.log("ready")
        self.cron = asyncio.create_task(self.tick())

    async def tick(self):
        while True:
            await asyncio.sleep(0.1)
            self.ticks += 1

    async def ask(self, session, host, port, words):
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reader, writer = await asyncio.open_connection(host.decode(), int(port))
                try:
                    writer.write(b"*%d\r\n" % len(words))
                    writer.writelines(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
                    answer = await reader.readline()
                finally:
                    writer.close()
        except TimeoutError:
            answer = b"-ERR nobody answers\r\n"
        except OSError as failure:
            answer = b"-ERR %s\r\n" % type(failure).__name__.encode()
        session.transport.write(answer)

    async def keep(self, session):
        file = self.environment.disk.open(self.file, "create")
        file.write(b"".join(b"%b %b\n" % item for item in self.data.items()))
        await file.sync()
        file.close()
        await self.environment.disk.sync_directory(self.environment.directory)
        session.transport.write(b"+OK\r\n")

    async def stop(self):
        self.abort()

    def abort(self):
        self.cron.cancel()
        for server in self.servers:
            server.close()
        for session in list(self.sessions):
            session.transport.abort()


class Session(asyncio.Protocol):
    def __init__(self, toy):
        self.toy = toy
        self.resp = 2
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport
        self.toy.sessions[self] = None

    def connection_lost(self, exc):
        self.toy.sessions.pop(self, None)
        self.toy.subscribers.pop(self, None)

    def data_received(self, data):
        self.buffer += data
        for args in self.commands():
            name = args[0].upper()
            if name == b"ASK":
                self.later(self.toy.ask(self, args[1], args[2], args[3:]))
            elif name == b"KEEP":
                self.later(self.toy.keep(self))
            else:
                self.transport.write(self.reply(args))

    def later(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.toy.tasks.add(task)
        task.add_done_callback(self.toy.tasks.discard)

    def commands(self) -> Iterator[list[bytes]]:
        while self.buffer.startswith(b"*"):
            head, _, rest = self.buffer.partition(b"\r\n")
            args = []
            for _ in range(int(head[1:])):
                size, found, rest = rest.partition(b"\r\n")
                if not found or len(rest) < int(size[1:]) + 2:
                    return
                args.append(rest[: int(size[1:])])
                rest = rest[int(size[1:]) + 2 :]
            self.buffer = rest
            yield args

    def reply(self, args):
        name, data = args[0].upper(), self.toy.data
        if name == b"HELLO":
            self.resp = int(args[1])
            return b"%1\r\n$5\r\nproto\r\n:3\r\n"
        if name == b"SET":
            data[args[1]] = args[2]
        elif name == b"GET":
            value = data.get(args[1])
            if value is None:
                return b"_\r\n" if self.resp == 3 else b"$-1\r\n"
            return b"$%d\r\n%b\r\n" % (len(value), value)
        elif name == b"INCR":
            data[args[1]] = b"%d" % (int(data.get(args[1], b"0")) + 1)
            return b":" + data[args[1]] + b"\r\n"
        elif name == b"TICKS":
            return b":%d\r\n" % self.toy.ticks
        elif name == b"SUBSCRIBE":
            self.toy.subscribers[self] = args[1]
            return self.push(b"subscribe", args[1]) + b":1\r\n"
        elif name == b"PUBLISH":
            for session, channel in self.toy.subscribers.items():
                if channel == args[1]:
                    size = b"$%d\r\n%b\r\n" % (len(args[2]), args[2])
                    session.transport.write(session.push(b"message", channel) + size)
            return b":1\r\n"
        elif name == b"PING":
            return b"+PONG\r\n"
        return b"+OK\r\n"

    def push(self, kind, channel):
        kind_of = b">" if self.resp == 3 else b"*"
        return kind_of + b"3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            len(kind), kind, len(channel), channel,
        )  # fmt: skip
