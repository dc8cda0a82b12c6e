"""A program in a simulation that answers as a test wants it to."""

import asyncio

from redislab.wire.requests import RequestParser
from redislab.worlds.nodes import redis_node, sentinel_node
from redislab.worlds.sim.world import SimWorld


class Liar:
    """A server that answers every command with what a function makes of its words."""

    def __init__(self, answer, port):
        self.answer, self.port = answer, port
        self.heard = []

    async def start(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: _Session(self), "127.0.0.1", self.port)

    async def stop(self):
        self.abort()

    def abort(self):
        self.server.close()


class _Session(asyncio.Protocol):
    def __init__(self, liar):
        self.liar, self.parser = liar, RequestParser()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for words in self.parser.feed(data):
            self.liar.heard.append(words)
            answer = self.liar.answer(words)
            if answer is None:
                self.transport.abort()
                return
            self.transport.write(answer)


def world_with(liars, seed=1):
    """A simulation in which some names are liars: {name: Liar}."""

    def make(file, environment):
        if environment.name in liars:
            return liars[environment.name]
        is_sentinel = file.endswith("sentinel.conf")
        return (sentinel_node if is_sentinel else redis_node)(file, environment)

    return SimWorld(seed=seed, make_node=make)


def honest(words):
    """What a master without replicas would answer, as far as a Sentinel can tell."""
    name = words[0].upper()
    if name == b"PING":
        return b"+PONG\r\n"
    if name == b"INFO":
        text = b"run_id:%s\r\nrole:master\r\n" % (b"7" * 40)
        return b"$%d\r\n%b\r\n" % (len(text), text)
    if name == b"SUBSCRIBE":
        return b"*3\r\n$9\r\nsubscribe\r\n$18\r\n__sentinel__:hello\r\n:1\r\n"
    return b":1\r\n" if name == b"PUBLISH" else b"+OK\r\n"
